"""How gunicorn serves us: gunicorn -c python:enrichlabs.gunicorn -b HOST:PORT enrichlabs.wsgi"""

worker_class = "gthread"
workers = 2
threads = 32
keepalive = 10
graceful_timeout = 10
loglevel = "warning"
# It would lie in the home folder, one for all the gunicorns of a user.
control_socket_disable = True
