"""A served application and the browsers that visit it: what users' own tests have, too."""

from app.testing import Browser as Browser
from app.testing import Site as Site
