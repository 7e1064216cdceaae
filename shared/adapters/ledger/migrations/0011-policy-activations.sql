-- Which policy is in force: the text as it was activated, with the directory's own ids of the units and groups it names.
-- The newest row of a text's digest gives its pins; the newest row of all is what goes on while a newer file is refused.
CREATE TABLE policy_activations (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest       text COLLATE "C" NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  policy_text  text NOT NULL,
  pins         jsonb NOT NULL,
  activated_by text NOT NULL,
  automatic    boolean NOT NULL,
  activated_at timestamptz NOT NULL
);

CREATE INDEX policy_activations_by_digest ON policy_activations (digest, id);
-- Several instances may start at once on a new file; a function activates a text once, an admin as often as they like.
CREATE UNIQUE INDEX policy_activations_automatic ON policy_activations (digest) WHERE automatic;

CREATE TRIGGER policy_activations_never_change BEFORE UPDATE OR DELETE ON policy_activations FOR EACH ROW
  EXECUTE FUNCTION refuse_change('which policy was in force is never rewritten');
