"""The web process's entry point."""

import os

from django.core.wsgi import get_wsgi_application

from fleet.portal.warm import warm

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.settings")
application = get_wsgi_application()
warm()
