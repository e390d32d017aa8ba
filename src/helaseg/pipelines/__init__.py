"""Jobs: the steps called in order, results returned; no algorithm lives here."""
