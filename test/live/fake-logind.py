# logind as far as a lock that holds a shutdown back needs it, on the bus of DBUS_SYSTEM_BUS_ADDRESS. Says on standard output what it is asked; `true` or `false` on
# standard input is the PrepareForShutdown that it sends.
import os, sys
import dbus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

MANAGER = 'org.freedesktop.login1.Manager'

def say(*words):
    print(*words, flush=True)

class Manager(dbus.service.Object):
    @dbus.service.method(MANAGER, in_signature='ssss', out_signature='h')
    def Inhibit(self, what, who, why, mode):
        ours, theirs = os.pipe()
        def released(fd, condition):
            say('released')
            os.close(fd)
            return False
        GLib.io_add_watch(ours, GLib.IO_HUP, released)
        say('inhibit', what, who, mode)
        given = dbus.types.UnixFd(theirs)
        os.close(theirs)
        return given

    @dbus.service.signal(MANAGER, signature='b')
    def PrepareForShutdown(self, begins):
        pass

    @dbus.service.method('org.freedesktop.DBus.Properties', in_signature='ss', out_signature='v')
    def Get(self, interface, name):
        return dbus.UInt64(90_000_000)

DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
name = dbus.service.BusName('org.freedesktop.login1', bus)
manager = Manager(bus, '/org/freedesktop/login1')
loop = GLib.MainLoop()

def told(source, condition):
    line = sys.stdin.readline()
    if line == '':
        loop.quit()
        return False
    manager.PrepareForShutdown(line.strip() == 'true')
    return True

GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, told)
say('ready')
loop.run()
