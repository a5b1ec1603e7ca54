"""The tokens that vendors issue for a credential: OAuth2's, or those of a login."""

from jobs.queue.tokens.shared import NoTokenError, Token, current, drop, kept_token

__all__ = ["NoTokenError", "Token", "current", "drop", "kept_token"]
