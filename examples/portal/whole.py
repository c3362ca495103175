"""The portal of app.py with all that recado has for one: large audiences, and recado's own pages inside it."""

from examples.portal.app import app
from examples.portal.large_audiences import large_audiences
from examples.portal.pages import pages

app.register_blueprint(large_audiences)
app.register_blueprint(pages)
app.jinja_env.globals["parts"] = set(app.blueprints)  # what templates/page.html may lead to
