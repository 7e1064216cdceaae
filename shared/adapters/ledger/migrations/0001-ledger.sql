-- The ledger's first schema. Runs unchanged on PostgreSQL 15 and later and on PGlite.
--
-- Words, as in shared/ports/ledger.ts:
--   lease       the right to work on one subject (user:ID, issuer:ID); its fence only grows
--   sighting    what the directory said of a user when somebody last looked
--   key         one RSA key pair of a user; the private half exists only wrapped
--   leaf        one certificate over one key; `intended` before it is signed, `signed` after
--   retirement  a decision to revoke a leaf later
--   keypair     Gmail's record for one leaf
--   wish        an admin asked that a user be re-keyed; a job is one request with a wish per user
--   last entry  the one CRL published after a revoked leaf's notAfter that still lists it (RFC 5280 3.3)
--
-- Instants are the product's own clock, except leases, which only the database's clock judges: several processes
-- share them. Serials and digests are lower-case hex. Text that orders pages is compared byte by byte (COLLATE "C"),
-- so that every server pages alike.
--
-- What must never change is refused here, by the database, whoever asks.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0]
    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;

-- --- leases ---------------------------------------------------------------------------------------------------

CREATE TABLE leases (
  subject    text COLLATE "C" PRIMARY KEY CHECK (subject ~ '^(user|issuer|job):.'),
  -- Null once given back. A holder with a past expires_at died or was cut off: the lease is abandoned.
  holder     text,
  fence      bigint NOT NULL CHECK (fence > 0),
  expires_at timestamptz NOT NULL,
  -- Somebody asked for the subject while it was held.
  look_again boolean NOT NULL DEFAULT false
);

CREATE INDEX leases_left_open ON leases (expires_at) WHERE holder IS NOT NULL OR look_again;

CREATE TRIGGER leases_fence_only_grows BEFORE UPDATE ON leases FOR EACH ROW
  WHEN (NEW.fence < OLD.fence OR NEW.subject <> OLD.subject)
  EXECUTE FUNCTION refuse_change('the fence of a lease only grows');
CREATE TRIGGER leases_are_kept BEFORE DELETE ON leases FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a lease row is kept, because its fence must go on growing');

-- --- users ----------------------------------------------------------------------------------------------------

CREATE TABLE users (
  user_id        text COLLATE "C" PRIMARY KEY CHECK (user_id <> ''),
  primary_email  text NOT NULL CHECK (primary_email = lower(primary_email)),
  state          text NOT NULL CHECK (state IN ('ready', 'pending', 'blocked', 'leaving', 'out')),
  reason         text NOT NULL,
  since          timestamptz NOT NULL,
  left_scope_at  timestamptz,
  suspended_at   timestamptz,
  -- The policy rule that covers the user, or covered them last.
  rule_name      text,
  failures       integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
  next_action    text,
  next_action_at timestamptz
);

CREATE INDEX users_due ON users (next_action_at) WHERE next_action_at IS NOT NULL;
CREATE INDEX users_covered ON users (user_id) WHERE state <> 'out';

CREATE SEQUENCE sightings;

CREATE TABLE addresses (
  address    text COLLATE "C" NOT NULL CHECK (address = lower(address)),
  user_id    text COLLATE "C" NOT NULL REFERENCES users,
  first_seen timestamptz NOT NULL,
  last_seen  timestamptz NOT NULL,
  -- Number of the last sighting that saw this user hold the address: decides between two who held it, also when
  -- their clocks read alike.
  sighting   bigint NOT NULL,
  PRIMARY KEY (address, user_id)
);

CREATE TRIGGER addresses_are_kept BEFORE DELETE ON addresses FOR EACH ROW
  EXECUTE FUNCTION refuse_change('the address history is never shortened: old mail is opened through it');

-- --- wishes and jobs ------------------------------------------------------------------------------------------

CREATE TABLE jobs (
  job_id          text COLLATE "C" PRIMARY KEY,
  kind            text NOT NULL CHECK (kind IN ('rekey')),
  reason          text NOT NULL CHECK (reason IN ('keyCompromise', 'affiliationChanged', 'superseded',
                                                  'cessationOfOperation', 'privilegeWithdrawn')),
  invalidity_date timestamptz,
  requested_by    text NOT NULL,
  requested_at    timestamptz NOT NULL
);

CREATE TABLE wishes (
  wish_id       text COLLATE "C" PRIMARY KEY,
  job_id        text COLLATE "C" NOT NULL REFERENCES jobs,
  -- Position in the admin's list.
  place         integer NOT NULL,
  user_id       text COLLATE "C" NOT NULL REFERENCES users,
  -- The address when it was asked for, which is what the admin recognises.
  primary_email text NOT NULL,
  state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'fulfilled', 'failed')),
  detail        text,
  closed_at     timestamptz,
  UNIQUE (job_id, user_id),
  CHECK ((state = 'open') = (closed_at IS NULL))
);

CREATE INDEX wishes_open ON wishes (user_id) WHERE state = 'open';

CREATE TRIGGER wishes_close_once BEFORE UPDATE ON wishes FOR EACH ROW
  WHEN (OLD.state <> 'open'
    OR (OLD.wish_id, OLD.job_id, OLD.place, OLD.user_id, OLD.primary_email)
       IS DISTINCT FROM (NEW.wish_id, NEW.job_id, NEW.place, NEW.user_id, NEW.primary_email))
  EXECUTE FUNCTION refuse_change('a wish is closed once and otherwise never changes');
CREATE TRIGGER wishes_are_kept BEFORE DELETE ON wishes FOR EACH ROW
  EXECUTE FUNCTION refuse_change('wishes are kept');
CREATE TRIGGER jobs_are_kept BEFORE UPDATE OR DELETE ON jobs FOR EACH ROW
  EXECUTE FUNCTION refuse_change('jobs are kept as they were asked for');

-- --- issuers --------------------------------------------------------------------------------------------------

CREATE TABLE issuers (
  issuer_id          text COLLATE "C" PRIMARY KEY,
  certificate_der    bytea NOT NULL,
  key_secret_version text NOT NULL,
  crl_url            text NOT NULL,
  issuer_url         text NOT NULL,
  state              text NOT NULL CHECK (state IN ('active', 'retiring', 'retired')),
  recorded_at        timestamptz NOT NULL
);

CREATE UNIQUE INDEX issuers_one_active ON issuers (state) WHERE state = 'active';

CREATE TABLE issuer_chains (
  issuer_id       text COLLATE "C" NOT NULL REFERENCES issuers,
  -- 0 is the certificate that signed the issuer's; the highest is the root.
  place           integer NOT NULL CHECK (place >= 0),
  certificate_der bytea NOT NULL,
  PRIMARY KEY (issuer_id, place)
);

CREATE TRIGGER issuers_keep_their_certificate BEFORE UPDATE ON issuers FOR EACH ROW
  WHEN ((OLD.issuer_id, OLD.certificate_der) IS DISTINCT FROM (NEW.issuer_id, NEW.certificate_der))
  EXECUTE FUNCTION refuse_change('an issuer keeps its certificate; another certificate is another issuer');
CREATE TRIGGER issuers_are_kept BEFORE DELETE ON issuers FOR EACH ROW
  EXECUTE FUNCTION refuse_change('issuers are kept: their leaves still need a CRL');

-- --- keys and leaves ------------------------------------------------------------------------------------------

CREATE TABLE user_keys (
  key_id          text COLLATE "C" PRIMARY KEY,
  position        bigint GENERATED ALWAYS AS IDENTITY,
  user_id         text COLLATE "C" NOT NULL REFERENCES users,
  spki_sha256_hex text NOT NULL CHECK (spki_sha256_hex ~ '^[0-9a-f]{64}$'),
  spki_der        bytea NOT NULL,
  modulus_bits    integer NOT NULL,
  key_service_url text NOT NULL,
  -- Only the key service can open it.
  wrapped_key     text NOT NULL CHECK (wrapped_key <> ''),
  proof           text NOT NULL CHECK (proof IN ('proven', 'unproven')),
  wish_id         text COLLATE "C" REFERENCES wishes,
  created_at      timestamptz NOT NULL,
  -- Lets a leaf name key and user together.
  UNIQUE (key_id, user_id)
);

CREATE INDEX user_keys_of_user ON user_keys (user_id);
CREATE INDEX user_keys_by_spki ON user_keys (spki_sha256_hex);

CREATE TRIGGER user_keys_change_proof_only BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN ((OLD.key_id, OLD.position, OLD.user_id, OLD.spki_sha256_hex, OLD.spki_der, OLD.modulus_bits,
         OLD.key_service_url, OLD.wrapped_key, OLD.wish_id, OLD.created_at)
    IS DISTINCT FROM (NEW.key_id, NEW.position, NEW.user_id, NEW.spki_sha256_hex, NEW.spki_der, NEW.modulus_bits,
         NEW.key_service_url, NEW.wrapped_key, NEW.wish_id, NEW.created_at))
  EXECUTE FUNCTION refuse_change('of a recorded key only the proof may change');
CREATE TRIGGER user_keys_are_kept BEFORE DELETE ON user_keys FOR EACH ROW
  EXECUTE FUNCTION refuse_change('wrapped keys are never deleted: old mail is opened with them');

CREATE TABLE leaves (
  serial_hex  text COLLATE "C" PRIMARY KEY
              CHECK (serial_hex ~ '^([0-7][0-9a-f])([0-9a-f]{2}){0,19}$' AND serial_hex !~ '^0+$'),
  position    bigint GENERATED ALWAYS AS IDENTITY,
  issuer_id   text COLLATE "C" NOT NULL REFERENCES issuers,
  user_id     text COLLATE "C" NOT NULL REFERENCES users,
  key_id      text COLLATE "C" NOT NULL,
  profile     text NOT NULL,
  addresses   text[] NOT NULL CHECK (cardinality(addresses) > 0),
  not_before  timestamptz NOT NULL,
  not_after   timestamptz NOT NULL CHECK (not_after > not_before),
  tbs_der     bytea NOT NULL,
  state       text NOT NULL CHECK (state IN ('intended', 'signed')),
  leaf_der    bytea,
  intended_at timestamptz NOT NULL,
  signed_at   timestamptz,
  FOREIGN KEY (key_id, user_id) REFERENCES user_keys (key_id, user_id),
  CHECK ((state = 'signed') = (leaf_der IS NOT NULL)),
  CHECK ((state = 'signed') = (signed_at IS NOT NULL))
);

CREATE INDEX leaves_of_user ON leaves (user_id);
CREATE INDEX leaves_of_issuer ON leaves (issuer_id, not_after);

CREATE TRIGGER leaves_are_signed_once BEFORE UPDATE ON leaves FOR EACH ROW
  WHEN (OLD.state = 'signed'
    OR (OLD.serial_hex, OLD.position, OLD.issuer_id, OLD.user_id, OLD.key_id, OLD.profile, OLD.addresses,
        OLD.not_before, OLD.not_after, OLD.tbs_der, OLD.intended_at)
    IS DISTINCT FROM (NEW.serial_hex, NEW.position, NEW.issuer_id, NEW.user_id, NEW.key_id, NEW.profile, NEW.addresses,
        NEW.not_before, NEW.not_after, NEW.tbs_der, NEW.intended_at))
  EXECUTE FUNCTION refuse_change('a leaf goes from intended to signed once and otherwise never changes');
CREATE TRIGGER leaves_are_kept BEFORE DELETE ON leaves FOR EACH ROW
  EXECUTE FUNCTION refuse_change('leaves are kept: a serial is never used again');

-- A row per decision; the one that is due first counts. Bringing a retirement forward adds a row.
CREATE TABLE retirements (
  serial_hex text COLLATE "C" NOT NULL REFERENCES leaves,
  position   bigint GENERATED ALWAYS AS IDENTITY,
  reason     text NOT NULL CHECK (reason IN ('keyCompromise', 'affiliationChanged', 'superseded',
                                             'cessationOfOperation', 'privilegeWithdrawn')),
  due_at     timestamptz NOT NULL,
  decided_at timestamptz NOT NULL,
  PRIMARY KEY (serial_hex, due_at)
);

CREATE TRIGGER retirements_are_kept BEFORE UPDATE OR DELETE ON retirements FOR EACH ROW
  EXECUTE FUNCTION refuse_change('retirements are kept as they were decided');

CREATE TABLE revocations (
  serial_hex      text COLLATE "C" PRIMARY KEY REFERENCES leaves,
  reason          text NOT NULL CHECK (reason IN ('keyCompromise', 'affiliationChanged', 'superseded',
                                                  'cessationOfOperation', 'privilegeWithdrawn')),
  revoked_at      timestamptz NOT NULL,
  invalidity_date timestamptz
);

CREATE TRIGGER revocations_are_final BEFORE UPDATE OR DELETE ON revocations FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a revocation is never changed or undone');
CREATE TRIGGER revocations_are_not_emptied BEFORE TRUNCATE ON revocations FOR EACH STATEMENT
  EXECUTE FUNCTION refuse_change('a revocation is never changed or undone');

CREATE TABLE keypairs (
  serial_hex  text COLLATE "C" PRIMARY KEY REFERENCES leaves,
  user_id     text COLLATE "C" NOT NULL REFERENCES users,
  state       text NOT NULL CHECK (state IN ('intended', 'created')),
  -- Gmail's id.
  keypair_id  text,
  intended_at timestamptz NOT NULL,
  created_at  timestamptz,
  UNIQUE (user_id, keypair_id),
  CHECK ((state = 'created') = (keypair_id IS NOT NULL)),
  CHECK ((state = 'created') = (created_at IS NOT NULL))
);

CREATE TRIGGER keypairs_are_kept BEFORE DELETE ON keypairs FOR EACH ROW
  EXECUTE FUNCTION refuse_change('keypairs are kept');

-- --- CRLs -----------------------------------------------------------------------------------------------------

CREATE TABLE crls (
  issuer_id    text COLLATE "C" NOT NULL REFERENCES issuers,
  crl_number   bigint NOT NULL CHECK (crl_number >= 0),
  this_update  timestamptz NOT NULL,
  next_update  timestamptz NOT NULL CHECK (next_update > this_update),
  tbs_der      bytea NOT NULL,
  state        text NOT NULL CHECK (state IN ('intended', 'signed', 'published')),
  crl_der      bytea,
  intended_at  timestamptz NOT NULL,
  signed_at    timestamptz,
  published_at timestamptz,
  PRIMARY KEY (issuer_id, crl_number),
  CHECK ((state = 'intended') = (crl_der IS NULL)),
  CHECK ((state = 'intended') = (signed_at IS NULL)),
  CHECK ((state = 'published') = (published_at IS NOT NULL))
);

CREATE TRIGGER crls_only_move_on BEFORE UPDATE ON crls FOR EACH ROW
  WHEN (OLD.state = 'published'
    OR (OLD.state = 'signed' AND (NEW.state <> 'published' OR NEW.crl_der IS DISTINCT FROM OLD.crl_der))
    OR (OLD.state = 'intended' AND NEW.state <> 'signed')
    OR (OLD.issuer_id, OLD.crl_number, OLD.this_update, OLD.next_update, OLD.tbs_der, OLD.intended_at)
       IS DISTINCT FROM (NEW.issuer_id, NEW.crl_number, NEW.this_update, NEW.next_update, NEW.tbs_der, NEW.intended_at))
  EXECUTE FUNCTION refuse_change('a CRL goes from intended to signed to published and otherwise never changes');
CREATE TRIGGER crls_are_kept BEFORE DELETE ON crls FOR EACH ROW
  EXECUTE FUNCTION refuse_change('CRLs are kept: their numbers must go on growing');

-- The row lock on the issuer makes two writers take turns, so that the second sees the first one's number.
CREATE FUNCTION refuse_older_crl() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM issuers WHERE issuer_id = NEW.issuer_id FOR NO KEY UPDATE;
  IF TG_OP = 'INSERT' AND EXISTS
    (SELECT 1 FROM crls WHERE issuer_id = NEW.issuer_id AND crl_number >= NEW.crl_number)
  THEN
    RAISE EXCEPTION 'a CRL number only grows' USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  IF TG_OP = 'UPDATE' AND EXISTS
    (SELECT 1 FROM crls
      WHERE issuer_id = NEW.issuer_id AND crl_number > NEW.crl_number AND state = 'published')
  THEN
    RAISE EXCEPTION 'a CRL with a higher number is published' USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER crls_numbers_grow BEFORE INSERT ON crls FOR EACH ROW EXECUTE FUNCTION refuse_older_crl();
CREATE TRIGGER crls_publish_in_order BEFORE UPDATE ON crls FOR EACH ROW
  WHEN (OLD.state <> 'published' AND NEW.state = 'published') EXECUTE FUNCTION refuse_older_crl();

-- Written when a CRL is published: from here on the expired leaf need not be listed again.
CREATE TABLE last_entries (
  serial_hex text COLLATE "C" PRIMARY KEY REFERENCES revocations,
  issuer_id  text COLLATE "C" NOT NULL,
  crl_number bigint NOT NULL,
  FOREIGN KEY (issuer_id, crl_number) REFERENCES crls
);

-- --- watch channels -------------------------------------------------------------------------------------------

CREATE TABLE channels (
  channel_id       text COLLATE "C" PRIMARY KEY,
  resource_id      text NOT NULL,
  -- The token itself is not kept.
  token_sha256_hex text NOT NULL CHECK (token_sha256_hex ~ '^[0-9a-f]{64}$'),
  event            text NOT NULL,
  expires_at       timestamptz NOT NULL
);

-- --- audit ----------------------------------------------------------------------------------------------------

CREATE TABLE audit (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at           timestamptz NOT NULL,
  user_id      text COLLATE "C",
  cause_source text NOT NULL CHECK (cause_source IN ('watch', 'audit', 'sweep', 'due', 'admin')),
  cause_id     text NOT NULL,
  cause_event  text NOT NULL,
  cause_actor  text,
  step         text NOT NULL,
  reason       text NOT NULL,
  outcome      text NOT NULL
               CHECK (outcome IN ('intended', 'done', 'adopted', 'already', 'failed', 'refused', 'ignored')),
  details      jsonb CHECK (jsonb_typeof(details) = 'object')
);

CREATE INDEX audit_of_user ON audit (user_id, id);
CREATE INDEX audit_departures ON audit (at)
  WHERE step IN ('revoke-leaf', 'delete-identity', 'disable-keypair') AND outcome IN ('done', 'adopted');

CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON audit FOR EACH ROW
  EXECUTE FUNCTION refuse_change('the audit trail only grows');
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT
  EXECUTE FUNCTION refuse_change('the audit trail only grows');
