#!/bin/sh
exec /usr/lib/jailctl/update-jails
