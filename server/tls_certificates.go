// SPDX-License-Identifier: MIT

package server

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// CertificateFiles names the files of a certificate: PEM, the certificate first
// and those that lead to its authority after it, and its private key. Both may be
// one file.
type CertificateFiles struct {
	Cert, Key string
}

// Certificates are certificates in files, for [HTTPServer.Certificates] or the
// GetCertificate of any tls.Config. When the files change, new connections get the
// new certificates; those that are open stay as they are.
//
// A client gets the first certificate in the order of Files that is for the name
// it asks for (SNI) and that it can verify, judging by the algorithms it knows: so
// one of RSA and one of ECDSA can stand side by side. Exact names come before
// wildcards, and a wildcard stands for one label. Whoever asks for no name, or for
// one that no certificate has, gets the first of all that it can verify, unless
// RefuseUnknown says otherwise.
//
// The files are read at start, by Reload, and during handshakes as far as
// CheckEvery allows. A pair that cannot be read, or whose parts do not belong
// together because they are just being replaced, stays what it was, while others
// are renewed; the error is logged, once for each state of the files.
//
// Fields must not be changed after the first use. Methods are safe for concurrent
// use.
type Certificates struct {
	// Files are the pairs. At least one.
	Files []CertificateFiles
	// CheckEvery is how often, at most, handshakes look whether the files have
	// changed: a minute by default, never if negative. Files are small, and they
	// are read, as neither times nor sizes are to be relied on.
	CheckEvery time.Duration
	// RefuseUnknown fails handshakes that ask for no name, or for one that no
	// certificate has.
	RefuseUnknown bool
	// Log takes what goes wrong in reading changed files, and a line for each
	// certificate that was renewed. nil means the ErrorLog of the server that uses
	// it; without one, nothing is logged.
	Log *zerolog.Logger

	current atomic.Pointer[certificateSet]
	due     atomic.Pointer[time.Time] // when to look next

	mu    sync.Mutex
	pairs []certificatePair // as Files; guarded by mu
}

// certificatePair is what is known of a pair of files.
type certificatePair struct {
	cert *tls.Certificate
	seen [sha256.Size]byte // what the files held when they were last looked at
	err  error             // what was wrong with that
}

// certificateSet is a choice of certificates; it does not change.
type certificateSet struct {
	all    []*tls.Certificate
	byName map[string][]*tls.Certificate // in lower case, wildcards as they are written
}

var (
	errNoCertificateFiles = errors.New("server: Certificates without Files")
	errUnknownServerName  = errors.New("server: no certificate for the name that the client asks for")
)

// Reload reads the files now. With an error, pairs that could be read are in use
// all the same, and the others are what they were. The error is nil when all pairs
// are up to date. Before the first time that every pair could be read, there is
// nothing to be used.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read(c.Log)
}

// read reads the files. The caller holds mu.
func (c *Certificates) read(log *zerolog.Logger) error {
	if len(c.Files) == 0 {
		return errNoCertificateFiles
	}
	if len(c.pairs) != len(c.Files) {
		c.pairs = make([]certificatePair, len(c.Files))
	}
	var errs []error
	changed, missing := false, false
	for i, files := range c.Files {
		p := &c.pairs[i]
		before, failed := p.cert, p.err
		p.read(files)
		switch {
		case p.err != nil:
			errs = append(errs, p.err)
			if log != nil && (failed == nil || failed.Error() != p.err.Error()) {
				log.Error().Err(p.err).Bool("kept", p.cert != nil).Msg("server: reading a certificate")
			}
		case p.cert != before:
			changed = true
			if log != nil && before != nil {
				log.Info().Str("file", files.Cert).Time("expires", p.cert.Leaf.NotAfter).Msg("server: certificate renewed")
			}
		}
		missing = missing || p.cert == nil
	}
	if changed && !missing {
		c.current.Store(newCertificateSet(c.pairs))
	}
	if c.CheckEvery >= 0 {
		next := time.Now().Add(orDefault(c.CheckEvery, time.Minute, 0))
		c.due.Store(&next)
	}
	return errors.Join(errs...)
}

// read looks at the files of a pair. What it saw before it does not judge again.
func (p *certificatePair) read(files CertificateFiles) {
	cert, err := os.ReadFile(files.Cert)
	var key []byte
	if err == nil {
		key, err = os.ReadFile(files.Key)
	}
	if err != nil {
		p.seen, p.err = [sha256.Size]byte{}, fmt.Errorf("server: certificate: %w", err)
		return
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%d\n", len(cert))
	_, _ = hash.Write(cert)
	_, _ = hash.Write(key)
	seen := [sha256.Size]byte(hash.Sum(nil))
	if seen == p.seen {
		return
	}
	p.seen = seen
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		p.err = fmt.Errorf("server: certificate %s with key %s: %w", files.Cert, files.Key, err)
		return
	}
	p.cert, p.err = &pair, nil
}

func newCertificateSet(pairs []certificatePair) *certificateSet {
	s := &certificateSet{byName: map[string][]*tls.Certificate{}}
	for i := range pairs {
		cert := pairs[i].cert
		s.all = append(s.all, cert)
		for _, name := range cert.Leaf.DNSNames {
			name = strings.ToLower(name)
			s.byName[name] = append(s.byName[name], cert)
		}
	}
	return s
}

// GetCertificate is for tls.Config.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.choose(hello, nil)
}

// choose finds a certificate for a handshake, which looks at the files first if it
// is time; others go on with what there is meanwhile. log is used where c has none.
func (c *Certificates) choose(hello *tls.ClientHelloInfo, log *zerolog.Logger) (*tls.Certificate, error) {
	if c.Log != nil {
		log = c.Log
	}
	set := c.current.Load()
	switch due := c.due.Load(); {
	case set == nil:
		c.mu.Lock()
		err := c.read(log)
		c.mu.Unlock()
		if set = c.current.Load(); set == nil {
			return nil, err
		}
	case due != nil && time.Now().After(*due) && c.mu.TryLock():
		if c.due.Load() == due { // nobody was faster
			_ = c.read(log)
		}
		c.mu.Unlock()
		set = c.current.Load()
	}
	return set.choose(hello, c.RefuseUnknown)
}

func (s *certificateSet) choose(hello *tls.ClientHelloInfo, refuseUnknown bool) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	certs := s.byName[name]
	if certs == nil {
		if _, parent, found := strings.Cut(name, "."); found {
			certs = s.byName["*."+parent]
		}
	}
	if certs == nil {
		if refuseUnknown {
			return nil, errUnknownServerName
		}
		certs = s.all
	}
	// The name has been dealt with; what is left to ask about is the algorithms.
	anonymous := *hello
	anonymous.ServerName = ""
	for _, cert := range certs {
		if anonymous.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return certs[0], nil // and the handshake will say what is wrong
}
