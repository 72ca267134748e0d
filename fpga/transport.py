"""Bytes to a core and back: over a serial port, or over any open file of the operating system."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import tty
from typing import Protocol

from ..golden.checks import ParameterError
from .link_errors import LinkError


class Transport(Protocol):
    """A line to a core. Reading gives what has come, at the latest after ``timeout`` seconds.

    All raise LinkError where the line is gone.
    """

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""

    def read(self, timeout: float) -> bytes:
        """One byte or more, none after ``timeout`` seconds."""

    def discard(self) -> None:
        """Forget what has come and was not read."""

    def close(self) -> None:
        """Give the line back."""


class SerialTransport:
    """A serial port.

    Parameters
    ----------
    port : str
        A device, or what pyserial understands as one, e.g. ``socket://host:port``.
    baud : int

    Raises
    ------
    LinkError
        The port cannot be opened.
    """

    def __init__(self, port: str, baud: int) -> None:
        import serial

        check_port(port)
        self.port = port
        try:
            self._serial = serial.serial_for_url(port, baudrate=baud, timeout=0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise LinkError(f"port {port} cannot be opened: {error}{_found_ports()}") from error
        # USB adapters wait up to 16 ms before they pass on few bytes, unless told not to.
        with contextlib.suppress(AttributeError, NotImplementedError, ValueError, OSError):
            self._serial.set_low_latency_mode(True)

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except OSError as error:
            raise LinkError(f"port {self.port} is gone: {error}") from error

    def read(self, timeout: float) -> bytes:
        try:
            self._serial.timeout = timeout
            first = self._serial.read(1)
            return first + self._serial.read(self._serial.in_waiting) if first else b""
        except OSError as error:
            raise LinkError(f"port {self.port} is gone: {error}") from error

    def discard(self) -> None:
        try:
            self._serial.reset_input_buffer()
        except (OSError, termios.error) as error:
            raise LinkError(f"port {self.port} is gone: {error}") from error

    def close(self) -> None:
        self._serial.close()


def check_port(port: str) -> None:
    """Raise, without opening ``port``, where it is empty or the path of no device."""
    if not port:
        raise ParameterError("port must not be empty")
    if port.startswith("/") and not os.path.exists(port):
        raise LinkError(f"port {port} cannot be opened: there is no such device{_found_ports()}")


def _found_ports() -> str:
    """What could have been meant, for an error."""
    from serial.tools import list_ports

    found = ", ".join(port.device for port in list_ports.comports())
    return f"; ports found: {found}" if found else "; no serial port was found: is it plugged in?"


class FileTransport:
    """An open file descriptor: a pseudo-terminal, a socket, a pipe that goes both ways."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        if os.isatty(descriptor):
            tty.setraw(descriptor, termios.TCSANOW)

    def write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError as error:
            raise LinkError(f"the line to the core is gone: {error}") from error

    def read(self, timeout: float) -> bytes:
        try:
            ready, _, _ = select.select([self.descriptor], [], [], timeout)
            if not ready:
                return b""
            data = os.read(self.descriptor, 4096)
        except OSError as error:
            raise LinkError(f"the line to the core is gone: {error}") from error
        if not data:
            raise LinkError("the line to the core is gone: it was closed")
        return data

    def discard(self) -> None:
        while self.read(0):
            pass

    def close(self) -> None:
        os.close(self.descriptor)
