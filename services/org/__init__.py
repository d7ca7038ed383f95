"""org: who belongs to what, when; who may send what; who is asking.

Units, posts, people with effective-dated memberships and absences, promotional accounts, publishers, roles and keys.
Read `domain` (the state and the commands), `decisions` and `checks` (the rules), then `importing` and `planning`
(whole files); `rows` and `reading` keep and show the organisation; `tokens`, `keys`, `credentials` and `nats_auth`
answer for identities; `app` puts it together.
"""
