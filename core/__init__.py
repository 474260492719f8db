"""The ground floor: settings, database, ids, clock, logging, metrics. Imports none of ours."""
