// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// ErrNoSockets is wrapped by the errors for addresses such as "systemd:" when no
// sockets were passed to this process, or somebody has taken them over before.
var ErrNoSockets = errors.New("server: no sockets were passed to this process")

// NamedListener is a listener with a name, such as one for a socket that this
// process was started with.
type NamedListener struct {
	// Name is what whoever started the process calls the socket, FileDescriptorName
	// of a systemd unit. Several may have the same; it is "unknown" where there are
	// no names.
	Name string
	// Listener of a socket that was passed is a *net.TCPListener or
	// *net.UnixListener. Closing it leaves the name of a Unix socket in place: it
	// belongs to whoever made it.
	Listener net.Listener
}

// The variables of socket activation, see sd_listen_fds(3).
const (
	envListenFDs   = "LISTEN_FDS"
	envListenPID   = "LISTEN_PID"
	envListenNames = "LISTEN_FDNAMES"
	// envListenPidfdID is set by newer systemds beside LISTEN_PID.
	envListenPidfdID = "LISTEN_PIDFDID"
	// envListenPPID is for a parent that starts a process with its own sockets: it
	// cannot know the id of the child before there is one.
	envListenPPID = "LISTEN_PPID"
)

// firstPassed is the descriptor of the first socket that was passed.
const firstPassed = 3

// ListenersFromEnv takes over the sockets that this process was started with, by
// the protocol of systemd's socket activation (sd_listen_fds): they are the
// descriptors from 3 on, LISTEN_FDS says how many, LISTEN_FDNAMES what they are
// called, with colons between, and LISTEN_PID whose they are. A process that starts
// its successor sets LISTEN_PPID to its own id instead, as it cannot know the other.
// Sockets of another process are not looked at, and neither are those for which
// neither variable is set.
//
// The result is in the order of the descriptors, and empty when there are none.
// Taking over unsets the variables, so that no child takes the sockets for its own,
// and marks the descriptors close-on-exec; a second call finds nothing. Only
// sockets that listen for streams are taken over: with anything else, and with
// variables that make no sense, there is an error, and no socket is taken.
//
// Call it before the program changes its environment or starts others. On systems
// other than Unix it finds nothing.
func ListenersFromEnv() ([]NamedListener, error) {
	count, mine, err := passedCount()
	if !mine {
		return nil, nil
	}
	names := os.Getenv(envListenNames)
	for _, name := range []string{envListenFDs, envListenPID, envListenNames, envListenPidfdID, envListenPPID} {
		_ = os.Unsetenv(name)
	}
	if err != nil {
		return nil, err
	}
	name, err := passedNames(names, count)
	if err != nil {
		return nil, err
	}
	return takeSockets(count, name)
}

// passedCount is how many sockets there are for this process; mine is false when
// the variables are not for it.
func passedCount() (count int, mine bool, err error) {
	number, set := os.LookupEnv(envListenFDs)
	if !set || !canInherit {
		return 0, false, nil
	}
	owner, self := envListenPID, os.Getpid()
	if os.Getenv(owner) == "" {
		owner, self = envListenPPID, os.Getppid()
	}
	id := os.Getenv(owner)
	if id == "" {
		return 0, false, nil
	}
	pid, err := strconv.ParseUint(id, 10, 31)
	if err != nil {
		return 0, true, fmt.Errorf("server: %s is %q, which is no process id", owner, id)
	}
	if int(pid) != self {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return 0, true, fmt.Errorf("server: %s is %q, which is no number of sockets", envListenFDs, number)
	}
	return int(n), true, nil
}

func passedNames(names string, count int) ([]string, error) {
	if names == "" {
		return slices.Repeat([]string{"unknown"}, count), nil
	}
	split := strings.Split(names, ":")
	if len(split) != count {
		return nil, fmt.Errorf("server: %s has %d names for %d sockets", envListenNames, len(split), count)
	}
	return split, nil
}

// takeSockets makes listeners of the descriptors that were passed, all or none.
func takeSockets(count int, names []string) (taken []NamedListener, err error) {
	defer func() {
		if err != nil {
			closeAll(listenersOf(taken))
			taken = nil
		}
	}()
	// All of them first: whatever fails, no child gets them.
	for i := range count {
		if err := keepFromChildren(firstPassed + i); err != nil {
			return nil, fmt.Errorf("server: %s is %d, but descriptor %d is not open: %w", envListenFDs, count, firstPassed+i, err)
		}
	}
	// A descriptor that is not what it should be may be anybody's, and is left alone.
	for i := range count {
		if err := checkListening(firstPassed + i); err != nil {
			return nil, fmt.Errorf("server: descriptor %d (%s), passed by %s, %w", firstPassed+i, names[i], envListenFDs, err)
		}
	}
	for i := range count {
		l, err := listenerOf(firstPassed + i)
		if err != nil {
			return taken, fmt.Errorf("server: descriptor %d (%s), passed by %s: %w", firstPassed+i, names[i], envListenFDs, err)
		}
		taken = append(taken, NamedListener{names[i], l})
	}
	return taken, nil
}

func listenersOf(named []NamedListener) []net.Listener {
	ls := make([]net.Listener, 0, len(named))
	for _, n := range named {
		ls = append(ls, n.Listener)
	}
	return ls
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		_ = l.Close()
	}
}

// inherited takes the sockets over on first use.
type inherited struct {
	asked bool
	left  []NamedListener
}

// named takes out the sockets of a name, all with "".
func (i *inherited) named(name string) ([]net.Listener, error) {
	if !canInherit {
		return nil, fmt.Errorf("server: address %q: %w", "systemd:"+name, errNoInheriting)
	}
	if !i.asked {
		i.asked = true
		var err error
		if i.left, err = ListenersFromEnv(); err != nil {
			return nil, err
		}
		if len(i.left) == 0 {
			return nil, fmt.Errorf("server: address %q: %w", "systemd:"+name, ErrNoSockets)
		}
	}
	var ls []net.Listener
	known := i.names()
	i.left = slices.DeleteFunc(i.left, func(n NamedListener) bool {
		if name != "" && n.Name != name {
			return false
		}
		ls = append(ls, n.Listener)
		return true
	})
	if len(ls) == 0 {
		return nil, fmt.Errorf("server: address %q: %w of that name, there is %s", "systemd:"+name, ErrNoSockets, known)
	}
	return ls, nil
}

func (i *inherited) names() string {
	if len(i.left) == 0 {
		return "none left"
	}
	names := make([]string, 0, len(i.left))
	for _, n := range i.left {
		names = append(names, strconv.Quote(n.Name))
	}
	return strings.Join(names, ", ")
}

// descriptor makes a listener of the descriptor in an address such as "fd:3".
func descriptor(number string) (net.Listener, error) {
	if !canInherit {
		return nil, fmt.Errorf("server: address %q: %w", "fd:"+number, errNoInheriting)
	}
	fd, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("server: address %q: %q is no descriptor", "fd:"+number, number)
	}
	if fd < firstPassed {
		return nil, fmt.Errorf("server: address %q: descriptors 0 to 2 are input, output and errors", "fd:"+number)
	}
	if err := checkListening(int(fd)); err != nil {
		return nil, fmt.Errorf("server: address %q: the descriptor %w", "fd:"+number, err)
	}
	l, err := listenerOf(int(fd))
	if err != nil {
		return nil, fmt.Errorf("server: address %q: %w", "fd:"+number, err)
	}
	return l, nil
}

var errNoInheriting = errors.New("sockets are passed from process to process on Unix only")
