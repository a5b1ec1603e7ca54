"""A vendor's page, and what operators do there: pause, resume, close the breaker, try, limit."""
