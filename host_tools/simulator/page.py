"""The page."""

from twisted.web.resource import Resource


class Page(Resource):
    def __init__(self, store, hubs):
        super().__init__()
