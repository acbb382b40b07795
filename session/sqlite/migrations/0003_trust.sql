-- +goose Up

-- What replicas know together of how far a provider can be believed: how many
-- answers each had within the minute before at, about whom there were some that
-- end or mark sessions and how that is taken back, and until when it is not
-- believed.
CREATE TABLE answers (
    provider TEXT    NOT NULL,
    replica  TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (provider, replica)
) STRICT, WITHOUT ROWID;

CREATE TABLE undo (
    provider TEXT NOT NULL,
    person   INTEGER NOT NULL,
    who      INTEGER NOT NULL, -- the same for all sessions of a person at a provider
    seen     INTEGER NOT NULL, -- when it last ended or marked sessions, or would have
    at       INTEGER NOT NULL, -- when what is to be taken back was settled
    why      TEXT NOT NULL,
    stamp    TEXT NOT NULL,
    checked  INTEGER NOT NULL,
    gone     INTEGER NOT NULL,
    PRIMARY KEY (provider, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE doubt (
    provider TEXT PRIMARY KEY,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What ended without a use is forgotten soon.
CREATE INDEX session_ended_unused ON session (ended) WHERE ended > 0 AND used = 0;

-- +goose Down

DROP INDEX session_ended_unused;
DROP TABLE doubt;
DROP TABLE undo;
DROP TABLE answers;
