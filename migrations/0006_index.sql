-- The index of a log: what it holds is a pure function of the log, and it is
-- built again where it is lost. Times are milliseconds since 1970-01-01 UTC;
-- idx is the index of a record in the log. The column sum of a row is a CRC-32C
-- over its other columns, so that a flipped bit does not go unnoticed.

-- One row: up to where the index follows the log, and which log that is.
CREATE TABLE state (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    idx       INTEGER NOT NULL, -- the last record that is in the index
    crc       INTEGER NOT NULL, -- of that record's frame
    device_id TEXT    NOT NULL,
    first_idx INTEGER NOT NULL, -- the first record that was seen
    first_crc INTEGER NOT NULL,
    cut_idx   INTEGER NOT NULL, -- records up to here were removed as too old
    weight    INTEGER NOT NULL, -- of all records, about the bytes they take
    uploads   TEXT    NOT NULL, -- JSON: the batches that are open or not settled
    sum       INTEGER NOT NULL
);

-- One row a run of the daemon. n counts them in order of appearance.
CREATE TABLE sessions (
    n             INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    boot_id       TEXT    NOT NULL,
    device_id     TEXT    NOT NULL,
    tags          TEXT    NOT NULL, -- device.tags, canonical JSON
    version       TEXT    NOT NULL, -- of the agent
    start_idx     INTEGER NOT NULL,
    start_ms      INTEGER NOT NULL, -- as the wall clock showed it; so are the other two
    start_boot_ms INTEGER NOT NULL,
    end_idx       INTEGER,
    end_ms        INTEGER,
    ended         TEXT,             -- completed, crashed or power_lost; NULL: still running
    reason        TEXT    NOT NULL,
    alive_idx     INTEGER NOT NULL, -- its last record
    alive_ms      INTEGER NOT NULL,
    alive_boot_ms INTEGER NOT NULL,
    ticks         INTEGER NOT NULL,
    samples       INTEGER NOT NULL,
    texts         INTEGER NOT NULL,
    sum           INTEGER NOT NULL
);

-- Series ids count in order of first appearance. A series whose type changed
-- has a row for each type.
CREATE TABLE series (
    id        INTEGER PRIMARY KEY,
    name      TEXT    NOT NULL,
    labels    TEXT    NOT NULL, -- canonical JSON
    type      TEXT    NOT NULL, -- gauge, counter or text
    unit      TEXT    NOT NULL, -- by the name's suffix, or empty
    first_idx INTEGER NOT NULL,
    first_ms  INTEGER NOT NULL, -- as the wall clock showed it
    last_idx  INTEGER NOT NULL,
    last_ms   INTEGER NOT NULL,
    sum       INTEGER NOT NULL,
    UNIQUE (name, labels, type)
);

-- One row a tick.
CREATE TABLE records (
    idx      INTEGER PRIMARY KEY,
    ts_ms    INTEGER,          -- effective time; NULL while, or because, it is unknown
    session  INTEGER NOT NULL, -- sessions.n
    wall_ms  INTEGER NOT NULL,
    boot_ms  INTEGER NOT NULL,
    trusted  INTEGER NOT NULL,
    decided  INTEGER NOT NULL, -- 0: a decision can still give it a time
    upload   INTEGER NOT NULL, -- 0 not yet, or in doubt; 1 acknowledged; 2 deleted unsent; 3 rejected as a whole
    samples  INTEGER NOT NULL, -- numbers, rows of the table samples
    sendable INTEGER NOT NULL, -- those that are neither NaN nor infinite
    rejected INTEGER NOT NULL, -- those that were given up one by one, rows of the table rejected
    texts    INTEGER NOT NULL, -- rows of the table events
    weight   INTEGER NOT NULL,
    content  INTEGER NOT NULL, -- CRC-32C over its rows in samples
    sum      INTEGER NOT NULL
);
CREATE INDEX records_by_time ON records (ts_ms);
CREATE INDEX records_undecided ON records (idx) WHERE decided = 0;
CREATE INDEX records_unsent ON records (idx) WHERE upload = 0;

-- The numbers. A value is an INTEGER where that is exact, else a REAL, and for
-- NaN the eight bytes of its bits, most significant first.
CREATE TABLE samples (
    idx       INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    value,
    PRIMARY KEY (idx, series_id)
) WITHOUT ROWID;

-- One row a sample that was given up by itself: its line was refused, or the
-- receiver answered for it and dropped it, again and again. The others of its
-- record are not concerned.
CREATE TABLE rejected (
    idx       INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    sum       INTEGER NOT NULL,
    PRIMARY KEY (idx, series_id)
) WITHOUT ROWID;

-- Text samples (kind text), and clock, reject and drop events as JSON.
CREATE TABLE events (
    idx       INTEGER NOT NULL,
    series_id INTEGER NOT NULL, -- 0 where kind is not text
    kind      TEXT    NOT NULL,
    wall_ms   INTEGER NOT NULL, -- as the clock showed it; a text's corrected time is in records
    text      TEXT    NOT NULL,
    sum       INTEGER NOT NULL,
    PRIMARY KEY (idx, series_id)
) WITHOUT ROWID;

-- One row a chunk of a planned batch. A batch that repeats samples of another one
-- has rows too. What is counted here is what came of sending the chunk; that a
-- receiver dropped samples later is in the tables rejected and events.
CREATE TABLE upload_checkpoints (
    plan_idx        INTEGER NOT NULL, -- the plan's record: a batch can be planned again
    chunk_index     INTEGER NOT NULL,
    batch_id        TEXT    NOT NULL,
    from_idx        INTEGER NOT NULL,
    to_idx          INTEGER NOT NULL,
    first_line      INTEGER NOT NULL, -- of the batch
    more            INTEGER NOT NULL, -- 1: another batch takes the range's further lines
    lines           INTEGER NOT NULL,
    samples         INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    sha256          BLOB    NOT NULL,
    state           TEXT    NOT NULL, -- planned, acknowledged, doubt, rejected, settled or replaced
    acknowledged    INTEGER NOT NULL, -- samples that the receiver answered for
    rejected        INTEGER NOT NULL, -- samples of lines that it refused
    planned_ms      INTEGER NOT NULL,
    acknowledged_ms INTEGER,
    sum             INTEGER NOT NULL,
    PRIMARY KEY (plan_idx, chunk_index)
) WITHOUT ROWID;
CREATE INDEX upload_checkpoints_unsettled ON upload_checkpoints (to_idx) WHERE state IN ('acknowledged', 'doubt');

-- One row a file of the log.
CREATE TABLE segments (
    file      TEXT    PRIMARY KEY,
    first_idx INTEGER NOT NULL,
    first_crc INTEGER NOT NULL,
    last_idx  INTEGER NOT NULL,
    first_ms  INTEGER NOT NULL, -- as the wall clock showed it
    last_ms   INTEGER NOT NULL,
    records   INTEGER NOT NULL,
    ticks     INTEGER NOT NULL,
    samples   INTEGER NOT NULL,
    texts     INTEGER NOT NULL,
    sum       INTEGER NOT NULL
) WITHOUT ROWID;

-- One row a sample, for any SQLite shell. Samples without a time are left out.
CREATE VIEW measurements AS
    SELECT r.ts_ms AS timestamp_ms,
           s.name AS metric_name,
           CASE typeof(v.value) WHEN 'blob' THEN NULL ELSE CAST(v.value AS REAL) END AS metric_value,
           NULL AS value_text,
           s.type AS value_type,
           s.labels AS tags,
           o.id AS session_id,
           o.device_id AS device_id,
           r.upload = 1 AND typeof(v.value) <> 'blob' AND abs(v.value) <= 1.7976931348623157e308
               AND (r.rejected = 0 OR NOT EXISTS (SELECT 1 FROM rejected x WHERE x.idx = r.idx AND x.series_id = v.series_id)) AS uploaded
      FROM records r
      JOIN samples v ON v.idx = r.idx
      JOIN series s ON s.id = v.series_id
      JOIN sessions o ON o.n = r.session
     WHERE r.ts_ms IS NOT NULL
    UNION ALL
    SELECT r.ts_ms, s.name, NULL, e.text, s.type, s.labels, o.id, o.device_id, 0
      FROM records r
      JOIN events e ON e.idx = r.idx AND e.kind = 'text'
      JOIN series s ON s.id = e.series_id
      JOIN sessions o ON o.n = r.session
     WHERE r.ts_ms IS NOT NULL;

-- The same with the key by which one sample is told from every other. The
-- function is taffrail's own; other shells have the view above.
CREATE VIEW metrics AS
    SELECT *, taffrail_dedup_key(metric_name, tags, value_type, timestamp_ms, device_id) AS dedup_key
      FROM measurements;
