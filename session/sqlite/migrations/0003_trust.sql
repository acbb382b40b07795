-- +goose Up

-- What replicas know together of how far a provider can be believed: how many
-- answers each had within the minute before at, which of them ended or marked
-- sessions and how that is taken back, and until when it is not believed.
CREATE TABLE answers (
    provider TEXT    NOT NULL,
    replica  TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (provider, replica)
) STRICT, WITHOUT ROWID;

CREATE TABLE undo (
    provider TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    person   INTEGER NOT NULL,
    why      TEXT    NOT NULL,
    stamp    TEXT    NOT NULL,
    checked  INTEGER NOT NULL,
    gone     INTEGER NOT NULL,
    PRIMARY KEY (provider, at, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE doubt (
    provider TEXT PRIMARY KEY,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down

DROP TABLE doubt;
DROP TABLE undo;
DROP TABLE answers;
