"""Runs that a supervisor executes, wherever that is: what happens goes to files of the run, which servers read.

Nothing in here knows on which machine a supervisor runs or how it gets there. Packages of runners add that.
"""
