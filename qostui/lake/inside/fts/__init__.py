"""A stand-in for the File Transfer Service: FTS3's REST interface over real gfal2 copies.

No FTS server is packaged anywhere, so the lake brings this one. It answers Rucio and `fts-rest` clients in the shapes
recorded from FTS 3.13.3 and says in its root answer that it is a stand-in.

    app, rest*     the REST interface (flask)             submission   a submitted document -> job and file rows
    identity       who is speaking                        states       states and how they follow from one another
    delegation     proxies handed over by users           reasons      error texts, retry rules, masking of secrets
    credentials    what a job's transfers act as          links        URLs, storage elements, links and their pace
    store          jobs and files in SQLite               bans         banned storages and users
    scheduler      what runs when                         shapes       rows -> JSON
    workers        children that hold one credential      orders       what such a child is told
    logs           the log text behind each file          transfer     the program of a child: gfal2, nothing else
"""
