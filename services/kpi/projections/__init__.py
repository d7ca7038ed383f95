"""Read models of the kpi service: day facts, and the organisation as of any day."""
