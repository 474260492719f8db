"""Who is on duty where, and when: rotas, overrides, hand-overs."""
