-- +goose Up

-- What the throttle counts: which marks stand in which buckets, and until when.
-- Neither says anything to who does not have the sealing key.
CREATE TABLE counted (
    bucket BLOB    NOT NULL,
    mark   BLOB    NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (bucket, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX counted_until ON counted (until);

-- +goose Down

DROP TABLE counted;
