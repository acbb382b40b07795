-- Times are milliseconds since 1970, 0 for never. Hashes are SHA-256.

-- What replicas agree upon.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What a provider's answers are kept on: a row for each person where it is
-- asked per person (own is empty), for each session where it is asked per
-- session (own is the session's id).
CREATE TABLE person (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    provider    TEXT    NOT NULL,
    provider_id INTEGER NOT NULL, -- a hash of the provider's name and fingerprint
    subject     TEXT    NOT NULL,
    own         TEXT    NOT NULL,
    user_name   TEXT    NOT NULL,
    version     BLOB    NOT NULL, -- of the facts
    stamp       TEXT    NOT NULL,
    checked     INTEGER NOT NULL,
    asked       INTEGER NOT NULL,
    answer      INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    lease       INTEGER NOT NULL,
    UNIQUE (provider, provider_id, subject, own)
) STRICT;

CREATE INDEX person_user ON person (user_name);

-- Apart from person, so that a lease writes a short row.
CREATE TABLE facts (
    person INTEGER PRIMARY KEY REFERENCES person (id) ON DELETE CASCADE,
    body   BLOB NOT NULL
) STRICT;

-- A provider's refresh token, sealed. ended is when its session did.
CREATE TABLE renewal (
    person  INTEGER PRIMARY KEY REFERENCES person (id) ON DELETE CASCADE,
    token   BLOB    NOT NULL,
    body    BLOB    NOT NULL,
    ended   INTEGER NOT NULL DEFAULT 0,
    revoked INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX renewal_ended ON renewal (revoked, ended) WHERE ended > 0;

CREATE TABLE session (
    hash        BLOB    PRIMARY KEY,
    person      INTEGER NOT NULL REFERENCES person (id),
    kind        TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    service     TEXT    NOT NULL,
    provider_id INTEGER NOT NULL,
    stamp       TEXT    NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    used        INTEGER NOT NULL DEFAULT 0,
    ended       INTEGER NOT NULL DEFAULT 0,
    why         TEXT    NOT NULL DEFAULT '',
    who         INTEGER NOT NULL, -- the same for all sessions of a person at a provider
    upstream    BLOB              -- the provider's refresh token that it answers to
) STRICT, WITHOUT ROWID;

CREATE INDEX session_person ON session (person, ended);
CREATE UNIQUE INDEX session_upstream ON session (upstream) WHERE upstream IS NOT NULL;

-- Those that live, and those that ended: neither looks at the others.
CREATE INDEX session_live_who ON session (who, created) WHERE ended = 0;
CREATE INDEX session_live_expires ON session (expires) WHERE ended = 0;
CREATE INDEX session_live_used ON session (used, created) WHERE ended = 0;
CREATE INDEX session_ended ON session (ended) WHERE ended > 0;
CREATE INDEX session_ended_unused ON session (ended) WHERE ended > 0 AND used = 0; -- forgotten soon

-- What a list shows and a redemption does not need.
CREATE TABLE client (
    hash         BLOB PRIMARY KEY REFERENCES session (hash) ON DELETE CASCADE,
    address      TEXT NOT NULL,
    id           TEXT NOT NULL,
    agent        TEXT NOT NULL,
    last_address TEXT NOT NULL DEFAULT '',
    last_id      TEXT NOT NULL DEFAULT '',
    last_agent   TEXT NOT NULL DEFAULT '',
    ended_by     TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- Who is asking a provider about a refresh token that has no session yet.
CREATE TABLE claim (
    upstream BLOB    PRIMARY KEY,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_until ON claim (until);

-- What the throttle counts: which marks stand in which buckets, and until when.
-- Neither says anything to who does not have the sealing key.
CREATE TABLE counted (
    bucket BLOB    NOT NULL,
    mark   BLOB    NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (bucket, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX counted_until ON counted (until);

-- The circuit breaker of a provider, shared by replicas: how many answers each
-- had within the minute before at, which answers ended sessions or found a
-- person gone and how to take them back, and until when the breaker is open.
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
