"""The one place that says yes or no: accounts, sessions, tokens, policy, view records."""
