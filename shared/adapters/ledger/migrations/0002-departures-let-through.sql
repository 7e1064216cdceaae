-- The guard writes down whom it lets through (step guard, outcome intended) and counts them for an hour.

CREATE INDEX audit_departures_let_through ON audit (at) WHERE step = 'guard' AND outcome = 'intended';
