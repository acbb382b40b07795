-- The throttle.

DROP TABLE counted;

-- A row is a window, an address budget or a proof, which the throttle alone
-- reads. Its key and body say nothing without the sealing key.
CREATE TABLE throttle (
    key     BLOB    PRIMARY KEY,
    version INTEGER NOT NULL, -- random, another at each change
    expires INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX throttle_expires ON throttle (expires);
