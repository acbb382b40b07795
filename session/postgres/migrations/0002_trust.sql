-- +goose Up

-- What replicas know together of how far a provider can be believed: how many
-- answers each had within the minute before at, about whom there were some that
-- end or mark sessions and how that is taken back, and until when it is not
-- believed.
CREATE TABLE answers (
    provider TEXT   NOT NULL,
    replica  TEXT   NOT NULL,
    count    BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (provider, replica)
);

CREATE TABLE undo (
    provider TEXT NOT NULL,
    person   BIGINT NOT NULL,
    who      BIGINT NOT NULL, -- the same for all sessions of a person at a provider
    seen     BIGINT NOT NULL, -- when it last ended or marked sessions, or would have
    at       BIGINT NOT NULL, -- when what is to be taken back was settled
    why      TEXT NOT NULL,
    stamp    TEXT NOT NULL,
    checked  BIGINT NOT NULL,
    gone     BIGINT NOT NULL,
    PRIMARY KEY (provider, person)
);

CREATE TABLE doubt (
    provider TEXT PRIMARY KEY,
    until    BIGINT NOT NULL
);

-- What ended without a use is forgotten soon.
CREATE INDEX session_ended_unused ON session (ended) WHERE ended > 0 AND used_day = 0;

-- +goose Down

DROP INDEX session_ended_unused;
DROP TABLE doubt;
DROP TABLE undo;
DROP TABLE answers;
