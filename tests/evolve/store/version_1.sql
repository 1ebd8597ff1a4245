-- A study as glo-dsl wrote it with version 1 of the tables. It is kept as it is: today's must read it.
BEGIN TRANSACTION;
CREATE TABLE candidate (
         id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL,
         origin TEXT NOT NULL, class BLOB, complexity INTEGER NOT NULL, verdict TEXT NOT NULL,
         UNIQUE (generation, place));
INSERT INTO "candidate" VALUES(1,0,0,'loss a(x: real) = x','"random"',X'01FF',1,'');
INSERT INTO "candidate" VALUES(2,0,1,'loss b(x: real) = 1','"random"',NULL,1,'no gradient');
CREATE TABLE evaluation (
         class BLOB NOT NULL CHECK (typeof(class) = 'blob'), seed INTEGER NOT NULL, rung INTEGER NOT NULL,
         fitness REAL, metrics TEXT NOT NULL, reason TEXT NOT NULL, unit INTEGER NOT NULL, seconds REAL NOT NULL,
         CHECK (fitness IS NOT NULL OR reason <> ''), PRIMARY KEY (class, seed, rung)) WITHOUT ROWID;
INSERT INTO "evaluation" VALUES(X'01FF',0,0,0.5,'{"loss":0.25}','',1,0.125);
INSERT INTO "evaluation" VALUES(X'01FF',1,0,NULL,'{}','diverged',1,0.125);
CREATE TABLE event (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL);
INSERT INTO "event" VALUES(1,'ask','{"generation":0}');
INSERT INTO "event" VALUES(2,'tell','[0.5,null]');
CREATE TABLE front (candidate INTEGER PRIMARY KEY REFERENCES candidate (id), figures TEXT NOT NULL);
INSERT INTO "front" VALUES(1,'{"mean":0.5}');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('config','{"seed":1,"task":"digits"}');
INSERT INTO "meta" VALUES('driver','{"process":null,"token":1,"until":0.0}');
INSERT INTO "meta" VALUES('glo_dsl','"0.1.0"');
INSERT INTO "meta" VALUES('schema','1');
CREATE TABLE unit (
         id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, payload TEXT NOT NULL,
         state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'leased', 'done', 'failed')),
         owner TEXT NOT NULL DEFAULT '', lease_until REAL NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0,
         failures INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', driver INTEGER NOT NULL DEFAULT 0);
INSERT INTO "unit" VALUES(1,0,'{"classes":["01ff"]}','done','worker',1060.0,1,0,'',1);
INSERT INTO "unit" VALUES(2,0,'{"classes":["02"]}','queued','',1060.0,1,1,'killed',1);
CREATE TRIGGER event_stays BEFORE UPDATE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE INDEX candidate_by_class ON candidate (class);
CREATE INDEX unit_by_state ON unit (state, id);
CREATE INDEX unit_by_generation ON unit (generation);
CREATE VIEW candidates AS
         SELECT id, generation, place, hex(class) AS class, complexity, verdict, text, origin FROM candidate;
CREATE VIEW evaluations AS
         SELECT hex(class) AS class, seed, rung, fitness, reason, metrics, unit, seconds FROM evaluation;
CREATE VIEW best AS
         SELECT e.rung, avg(e.fitness) AS fitness, count(*) AS seeds, min(e.fitness) AS least, max(e.fitness) AS most,
                c.complexity, c.id AS candidate, c.generation, hex(e.class) AS class, c.text
         FROM evaluation e JOIN candidate c ON c.id = (SELECT min(id) FROM candidate WHERE class = e.class)
         GROUP BY e.class, e.rung HAVING count(*) = count(e.fitness)
         ORDER BY e.rung DESC, avg(e.fitness) DESC, c.complexity, c.id;
CREATE VIEW work AS
         SELECT generation, state, count(*) AS units, max(attempt) AS attempts, sum(failures) AS failures
         FROM unit GROUP BY generation, state;
COMMIT;
