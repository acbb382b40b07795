-- +goose Up

-- The throttle.

DROP TABLE counted;

-- A row is a window, an address budget or a proof, which the throttle alone
-- reads. Its key and body say nothing without the sealing key.
CREATE TABLE throttle (
    key     BYTEA  PRIMARY KEY,
    version BIGINT NOT NULL, -- random, another at each change
    expires BIGINT NOT NULL,
    body    BYTEA  NOT NULL
);

CREATE INDEX throttle_expires ON throttle (expires);

-- +goose Down

DROP TABLE throttle;

CREATE TABLE counted (
    bucket BYTEA  NOT NULL,
    mark   BYTEA  NOT NULL,
    until  BIGINT NOT NULL,
    PRIMARY KEY (bucket, mark)
);

CREATE INDEX counted_until ON counted (until);
