-- +goose Up

-- What replicas know together of how far a provider can be believed: how many
-- answers each had within the minute before at, which of them ended or marked
-- sessions and how that is taken back, and until when it is not believed.
CREATE TABLE answers (
    provider TEXT   NOT NULL,
    replica  TEXT   NOT NULL,
    count    BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (provider, replica)
);

CREATE TABLE undo (
    provider TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    person   BIGINT NOT NULL,
    why      TEXT   NOT NULL,
    stamp    TEXT   NOT NULL,
    checked  BIGINT NOT NULL,
    gone     BIGINT NOT NULL,
    PRIMARY KEY (provider, at, person)
);

CREATE TABLE doubt (
    provider TEXT PRIMARY KEY,
    until    BIGINT NOT NULL
);

-- +goose Down

DROP TABLE doubt;
DROP TABLE undo;
DROP TABLE answers;
