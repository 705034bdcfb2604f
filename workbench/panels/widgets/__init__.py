"""The widgets with a front end of their own; ``static/`` holds their modules and style sheets."""
