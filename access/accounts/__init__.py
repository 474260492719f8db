"""Accounts: who may sign in, and the roles that each one holds in areas."""
