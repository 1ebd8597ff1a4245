-- A study as glo-dsl wrote it with version 2 of the tables. It is kept as it is: today's must read it.
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
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('config','{"seed":1,"task":"digits"}');
INSERT INTO "meta" VALUES('driver','{"process":null,"token":1,"until":0.0}');
INSERT INTO "meta" VALUES('glo_dsl','"0.1.0"');
INSERT INTO "meta" VALUES('schema','2');
CREATE TABLE unit (
         id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, payload TEXT NOT NULL,
         state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'leased', 'done', 'failed')),
         owner TEXT NOT NULL DEFAULT '', lease_until REAL NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0,
         failures INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', driver INTEGER NOT NULL DEFAULT 0);
INSERT INTO "unit" VALUES(1,0,'{"jobs":[{"key":"01ff","rate":0.5,"text":"loss a(x: real) = x"}],"keep":0.5,"part":"validation","seeds":[0,1],"steps":[0]}','done','worker',1060.0,1,0,'',1);
INSERT INTO "unit" VALUES(2,0,'{"classes":["02"]}','queued','',1060.0,1,1,'killed',1);
CREATE TRIGGER event_stays BEFORE UPDATE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE INDEX unit_by_state ON unit (state, id);
CREATE INDEX unit_by_generation ON unit (generation);
CREATE VIEW candidates AS
         SELECT id, generation, place, hex(class) AS class, complexity, verdict, text, origin FROM candidate;
CREATE VIEW evaluations AS
         SELECT hex(class) AS class, seed, rung, fitness, reason, metrics, unit, seconds FROM evaluation;
CREATE VIEW work AS
         SELECT generation, state, count(*) AS units, max(attempt) AS attempts, sum(failures) AS failures
         FROM unit GROUP BY generation, state;
CREATE INDEX candidate_by_text ON candidate (text);
CREATE VIEW trainings AS
         WITH job AS (
           SELECT u.id AS unit, part.atom AS part, upper(key.atom) AS key, min(each.id), rate.atom AS rate,
                  text.atom AS text
           FROM unit u, json_each(u.payload, '$.part') part, json_each(u.payload, '$.jobs') each,
                json_each(CASE each.type WHEN 'object' THEN each.value END, '$.key') key,
                json_each(CASE each.type WHEN 'object' THEN each.value END, '$.rate') rate,
                json_each(CASE each.type WHEN 'object' THEN each.value END, '$.text') text
           GROUP BY u.id, upper(key.atom))
         SELECT job.key, e.seed, e.rung, e.fitness, e.reason, e.metrics, e.seconds, job.part, job.rate, job.text,
                e.unit, (SELECT min(c.id) FROM candidate c WHERE c.text = job.text) AS candidate
         FROM evaluation e CROSS JOIN job ON job.unit = e.unit AND job.key = hex(e.class);
CREATE VIEW best AS
         WITH judged AS (SELECT * FROM trainings WHERE part = 'validation'),
              first AS (SELECT key, min(unit), rate, text, candidate FROM judged GROUP BY key)
         SELECT t.rung, avg(t.fitness) AS fitness, count(*) AS seeds, min(t.fitness) AS least, max(t.fitness) AS most,
                first.rate, c.complexity, c.generation, first.candidate, first.key, first.text
         FROM judged t JOIN first ON first.key = t.key LEFT JOIN candidate c ON c.id = first.candidate
         GROUP BY t.key, t.rung HAVING count(*) = count(t.fitness)
         ORDER BY t.rung DESC, round(avg(t.fitness), 12) DESC, c.complexity NULLS LAST, first.candidate NULLS LAST,
                  first.key;
COMMIT;
