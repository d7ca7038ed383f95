"""tickets: customers' matters from opening to the last satisfaction, with clocks that are right.

Read `domain` (a ticket and its commands), `decisions` with `decisions_*` (the rules; `decisions_time` is what time
alone brings) and `evolve`; `working_time` and `clocks` measure promises. `care_*` is the same for what surrounds
tickets: visits, needs, cases, reports. `commanding` and `ticket_commands` turn requests into decisions, `sealing` and
`erasing` keep and forget what is personal, `intake` takes publishers' events, `timers` and `care_worker` let time pass.
`projections/` are the read models; `board_query`, `statistics_query` and `export` ask them; `api_*` are the routes and
`app` puts it together. Sources: handbook H-50 .. H-53, H-60; decision records 11 to 13.
"""
