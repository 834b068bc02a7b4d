"""The report: pages that need no network, from the tables, figures and arrays of a run.

``statuses`` judges, ``rows`` words the tables, ``story`` follows a spectrum step by step, ``series`` packs curves,
``plots`` draws whole plates, ``chain`` the rules of a run, ``docs`` brings the documentation, ``pages`` puts all
together; templates are in ``templates/``, scripts and styles, our own and others' with their licences, in
``assets/``.
"""
