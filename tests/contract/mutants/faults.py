"""All faults, those of each room in a file of its own."""

import faults_calls
import faults_client
import faults_contract
import faults_following
import faults_once
import faults_page
import faults_process
import faults_server

_ROOMS = (
    *(faults_server, faults_once, faults_process, faults_page),
    *(faults_client, faults_calls, faults_following, faults_contract),
)
FAULTS = tuple(fault for room in _ROOMS for fault in room.FAULTS)
