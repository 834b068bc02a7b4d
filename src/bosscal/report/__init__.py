"""The report: pages that need no network, from the tables, figures and arrays of a run.

``statuses`` judges, ``rows`` words the tables, ``series`` packs curves, ``plots`` draws whole plates, ``pages`` puts
all together; templates are in ``templates/``, scripts and styles, our own and others' with their licences, in
``assets/``.
"""
