-- The whole schema, safe to run again. A worker applies it each time it gets ready to count, while another one may be
-- counting.
--
-- Statement-level triggers keep `tallies` right whoever writes to `votes`, psql included, so that a dashboard reads as
-- many rows as there are options, however many votes there are. They have their owner's rights (SECURITY DEFINER), so
-- that whoever may write votes needs none on the tallies (roles.sql).

CREATE TABLE IF NOT EXISTS votes (
    -- BIGINT: an upsert takes a number from the sequence each time, also when it only changes a row
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    voter_id   VARCHAR(255) NOT NULL UNIQUE,
    vote       VARCHAR(1)   NOT NULL,
    created_at TIMESTAMPTZ  DEFAULT CURRENT_TIMESTAMP,
    cast_at    TIMESTAMPTZ,
    -- of the voter's last vote that was recorded and had a number (common/message.py)
    series     INTEGER,
    number     INTEGER
);

-- A table from before the numbers. Asked first, because ALTER TABLE waits for everybody who reads, a dump for one, and
-- everybody waits behind it, also where the columns are there. It writes no row anew.
DO $$
BEGIN
    IF (SELECT count(*) FROM pg_attribute
         WHERE attrelid = 'votes'::regclass AND attname IN ('series', 'number') AND NOT attisdropped) < 2 THEN
        ALTER TABLE votes ADD COLUMN IF NOT EXISTS series INTEGER, ADD COLUMN IF NOT EXISTS number INTEGER;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION is_credible(cast_at TIMESTAMPTZ) RETURNS boolean LANGUAGE sql STABLE AS
    $$ SELECT cast_at BETWEEN timestamptz 'epoch' AND now() + interval '1 day' $$;

-- One row for each option that has votes. `as_of` is the cast_at of the newest vote counted in the row. A time that can't
-- be, before 1970 or more than a day ahead of our clock, stays with its vote and is no `as_of`: it would be for ever.
DO $$
BEGIN
    IF to_regclass('tallies') IS NULL THEN
        CREATE TABLE tallies (
            vote  VARCHAR(1) PRIMARY KEY,
            votes BIGINT     NOT NULL CHECK (votes >= 0),
            as_of TIMESTAMPTZ
        );
        -- a table of votes from before the triggers; nobody writes to it until they are there
        LOCK TABLE votes IN SHARE ROW EXCLUSIVE MODE;
        INSERT INTO tallies (vote, votes, as_of)
             SELECT vote, count(*), max(cast_at) FILTER (WHERE is_credible(cast_at)) FROM votes GROUP BY vote;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION tally_inserted() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO tallies AS t (vote, votes, as_of)
         SELECT vote, count(*), max(cast_at) FILTER (WHERE is_credible(cast_at)) FROM new_votes
          GROUP BY vote ORDER BY vote
    ON CONFLICT (vote) DO UPDATE
            SET votes = t.votes + excluded.votes,
                as_of = greatest(t.as_of, excluded.as_of);
    NOTIFY tallies;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tally_updated() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- one statement for all options, in their order: two writers then wait for each other instead of deadlocking
    INSERT INTO tallies AS t (vote, votes, as_of)
         SELECT vote, 0, max(as_of) FILTER (WHERE is_credible(as_of))
           FROM (SELECT vote, cast_at AS as_of FROM new_votes
                  UNION ALL
                 SELECT vote, NULL FROM old_votes) AS touched
          GROUP BY vote ORDER BY vote
    ON CONFLICT (vote) DO UPDATE SET as_of = greatest(t.as_of, excluded.as_of);
    UPDATE tallies AS t
       SET votes = t.votes + change.votes
      FROM (SELECT vote, sum(votes) AS votes
              FROM (SELECT vote, 1 AS votes FROM new_votes
                     UNION ALL
                    SELECT vote, -1 FROM old_votes) AS moved
             GROUP BY vote HAVING sum(votes) <> 0) AS change
     WHERE t.vote = change.vote;
    DELETE FROM tallies WHERE votes = 0;
    NOTIFY tallies;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tally_deleted() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE tallies AS t
       SET votes = t.votes - gone.votes,
           -- deleting is rare: only when the newest vote is gone is the next newest looked for
           as_of = CASE WHEN gone.as_of >= t.as_of
                        THEN (SELECT max(cast_at) FROM votes WHERE votes.vote = t.vote AND is_credible(cast_at))
                        ELSE t.as_of END
      FROM (SELECT vote, count(*) AS votes, max(cast_at) AS as_of FROM old_votes GROUP BY vote) AS gone
     WHERE t.vote = gone.vote;
    DELETE FROM tallies WHERE votes = 0;
    NOTIFY tallies;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tally_truncated() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM tallies;
    NOTIFY tallies;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER votes_inserted AFTER INSERT ON votes
    REFERENCING NEW TABLE AS new_votes FOR EACH STATEMENT EXECUTE FUNCTION tally_inserted();
CREATE OR REPLACE TRIGGER votes_updated AFTER UPDATE ON votes
    REFERENCING OLD TABLE AS old_votes NEW TABLE AS new_votes FOR EACH STATEMENT EXECUTE FUNCTION tally_updated();
CREATE OR REPLACE TRIGGER votes_deleted AFTER DELETE ON votes
    REFERENCING OLD TABLE AS old_votes FOR EACH STATEMENT EXECUTE FUNCTION tally_deleted();
CREATE OR REPLACE TRIGGER votes_truncated AFTER TRUNCATE ON votes
    FOR EACH STATEMENT EXECUTE FUNCTION tally_truncated();

-- Where `tallies` disagrees with `votes`. Both are read at one moment, and agree after every commit, so nobody has to
-- wait meanwhile. They can disagree only if somebody wrote to `tallies`, or to `votes` without the triggers.
CREATE OR REPLACE FUNCTION wrong_tallies() RETURNS TABLE (option VARCHAR, tally BIGINT, recount BIGINT)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT vote, t.votes, r.votes
      FROM tallies AS t
      FULL JOIN (SELECT vote, count(*) AS votes FROM votes GROUP BY vote) AS r USING (vote)
     WHERE t.votes IS DISTINCT FROM r.votes OR NOT is_credible(t.as_of)
$$;

-- Compares, and where they disagree counts `votes` anew; returns what was wrong. `SELECT * FROM heal_tallies()`
CREATE OR REPLACE FUNCTION heal_tallies() RETURNS TABLE (option VARCHAR, tally BIGINT, recount BIGINT)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM wrong_tallies()) THEN
        RETURN;
    END IF;
    LOCK TABLE votes IN SHARE ROW EXCLUSIVE MODE; -- now nobody writes votes: what is counted stays right until the commit
    RETURN QUERY SELECT * FROM wrong_tallies();
    DELETE FROM tallies;
    INSERT INTO tallies (vote, votes, as_of)
         SELECT vote, count(*), max(cast_at) FILTER (WHERE is_credible(cast_at)) FROM votes GROUP BY vote;
    NOTIFY tallies;
END $$;

REVOKE ALL ON FUNCTION wrong_tallies(), heal_tallies() FROM PUBLIC;
