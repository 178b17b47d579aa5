"""The processes that serve: a front end that talks and never computes, and one worker per device that computes."""
