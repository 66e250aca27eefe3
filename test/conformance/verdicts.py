#!/usr/bin/python3
"""Reads a subunit v2 stream, the form in which Python's test runners report (python3-subunit, protocol description in its README), and
writes a line of JSON for each test: its id, what became of it, the seconds it took, and the last line of why."""
import json
import sys

from subunit import ByteStreamToStreamResult
from testtools import StreamToDict

OUTCOMES = {'success': 'pass', 'xfail': 'pass', 'skip': 'skip'}


def reason(details):
    for name in ('reason', 'traceback', 'traceback-1'):
        if name in details:
            lines = [line for line in details[name].as_text().splitlines() if line.strip()]
            # A traceback says what happened in its end; what the cloud answered may take several lines.
            return ' '.join(line.strip() for line in lines[-3:])[-600:]
    return ''


def write(test):
    began, ended = test['timestamps']
    print(json.dumps({
        'id': test['id'],
        'outcome': OUTCOMES.get(test['status'], 'fail'),
        'seconds': (ended - began).total_seconds() if began and ended else 0,
        'reason': reason(test['details']),
    }))


result = StreamToDict(write)
result.startTestRun()
ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name='stdout').run(result)
result.stopTestRun()
