// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
)

// What can be wrong with a signed cookie, to be told apart with errors.Is.
var (
	// ErrNoCookie is returned when a request has no cookie of that name, or an
	// empty one, as a deleted cookie may be.
	ErrNoCookie = errors.New("server: no such cookie")
	// ErrCookieExpired is returned for a genuine cookie whose time is over, or
	// has not come yet by more than a minute.
	ErrCookieExpired = errors.New("server: cookie expired or not valid yet")
	// ErrCookieTampered is returned for a cookie that was not made with one of
	// the secrets for this name: forged, damaged, copied from another name, or
	// made with a secret that has been dropped since.
	ErrCookieTampered = errors.New("server: cookie is not genuine")
	// ErrCookieTooLarge is returned by Encode for a cookie whose name and
	// value together exceed what browsers keep, 4096 bytes.
	ErrCookieTooLarge = errors.New("server: cookie too large")
	// ErrCookieType is returned for a value that cannot be put into a cookie,
	// or a cookie that does not fit the variable it is read into.
	ErrCookieType = errors.New("server: cookie value of the wrong type")
	// ErrInvalidCookie is returned for a cookie name or attributes that a
	// browser would refuse.
	ErrInvalidCookie = errors.New("server: invalid cookie")
	// ErrNoCookieSecret is returned when signed cookies are used and no secret
	// has been set.
	ErrNoCookieSecret = errors.New("server: no cookie secret")
	// ErrShortCookieSecret is returned for a secret of less than 32 bytes.
	ErrShortCookieSecret = errors.New("server: cookie secret too short")
	// ErrInvalidCookieSecrets is returned for secrets that are too many or
	// equal.
	ErrInvalidCookieSecrets = errors.New("server: invalid cookie secrets")
)

const (
	minCookieSecret  = 32
	maxCookieSecrets = 4

	// maxCookieSize is what browsers keep of a cookie, name and value together
	// (RFC 6265bis §5.7). The "=" counts here too.
	maxCookieSize = 4096
	// minCookieValue is below the length of every value that Encode makes.
	minCookieValue = 60
	// cookieClockSkew is how far in the future a cookie may have been made, by
	// a machine whose clock is ahead.
	cookieClockSkew = 60
)

// CookieKeys signs and, where asked to, encrypts cookies, so that a value that
// comes back is one that was given out, under the same name, and not for too
// long. It is a ring of secrets: the newest makes cookies, all of them open
// cookies, so a secret can be replaced without logging anybody out:
//
//	keys, err := server.NewCookieKeys(newSecret, oldSecret)
//
// A cookie is not bound to a user or a device and cannot be revoked: whoever
// has a copy can use it until it expires.
//
// CookieKeys is immutable and safe for concurrent use. Printing it shows no
// secret. The zero value, and nil, have no secret and fail with
// [ErrNoCookieSecret].
type CookieKeys struct {
	// hidden is a function because nothing that walks values by reflection
	// looks into one. A pointer is not enough: fmt.Printf("%s") of a struct
	// with a *CookieKeys in an unexported field calls no Format and follows
	// two pointers, down to the secrets.
	hidden func() *cookieRing
}

// ring returns the keys, nil if there are none.
func (k *CookieKeys) ring() *cookieRing {
	if k == nil || k.hidden == nil {
		return nil
	}
	return k.hidden()
}

func (r *cookieRing) keys() *CookieKeys { return &CookieKeys{func() *cookieRing { return r }} }

// cookieRing holds the keys of one purpose.
type cookieRing struct {
	purpose string
	secrets [][]byte
	// One codec per secret and mode, newest secret first. Modes have keys of
	// their own: a signed payload must not be accepted by the codec that would
	// "decrypt" it.
	signing []*securecookie.SecureCookie
	sealing []*securecookie.SecureCookie
	memo    *cookieMemo
	now     func() time.Time
}

// NewCookieKeys makes a ring of one to four secrets, newest first. Each must
// have at least 32 random bytes, as from crypto/rand, and be the same on every
// machine and after every restart. They are copied.
//
// Errors wrap [ErrNoCookieSecret], [ErrShortCookieSecret] or
// [ErrInvalidCookieSecrets].
func NewCookieKeys(secrets ...[]byte) (*CookieKeys, error) {
	if len(secrets) == 0 {
		return nil, ErrNoCookieSecret
	}
	if len(secrets) > maxCookieSecrets {
		return nil, fmt.Errorf("%w: %d are more than %d", ErrInvalidCookieSecrets, len(secrets), maxCookieSecrets)
	}
	copies := make([][]byte, len(secrets))
	for i, secret := range secrets {
		switch {
		case len(secret) == 0:
			return nil, fmt.Errorf("%w: secret %d is empty", ErrNoCookieSecret, i)
		case len(secret) < minCookieSecret:
			return nil, fmt.Errorf("%w: secret %d has %d bytes, needs %d", ErrShortCookieSecret, i, len(secret), minCookieSecret)
		case len(bytes.Trim(secret, "\x00")) == 0:
			return nil, fmt.Errorf("%w: secret %d is all zero bytes", ErrNoCookieSecret, i)
		}
		for j, earlier := range copies[:i] {
			if bytes.Equal(earlier, secret) {
				return nil, fmt.Errorf("%w: secrets %d and %d are equal", ErrInvalidCookieSecrets, j, i)
			}
		}
		copies[i] = bytes.Clone(secret)
	}
	return newCookieRing("cookie", copies)
}

// For returns a ring with the same secrets for another purpose, such as
// "session" or "csrf": lower case letters, digits and hyphens, at most 32.
// What was made for one purpose is not accepted for another, even under the
// same name. The purpose of NewCookieKeys is "cookie".
func (k *CookieKeys) For(purpose string) (*CookieKeys, error) {
	r := k.ring()
	if r == nil {
		return nil, ErrNoCookieSecret
	}
	if purpose == "" || len(purpose) > 32 || strings.Trim(purpose, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, fmt.Errorf("server: cookie keys: purpose %q is not 1 to 32 lower case letters, digits and hyphens", purpose)
	}
	return newCookieRing(purpose, r.secrets)
}

func newCookieRing(purpose string, secrets [][]byte) (*CookieKeys, error) {
	r := &cookieRing{purpose: purpose, secrets: secrets, memo: newCookieMemo(), now: time.Now}
	for i, secret := range secrets {
		signing, sealing, err := newCookieCodecs(purpose, secret)
		if err != nil {
			return nil, fmt.Errorf("server: cookie keys from secret %d: %w", i, err)
		}
		r.signing = append(r.signing, signing)
		r.sealing = append(r.sealing, sealing)
	}
	return r.keys(), nil
}

func newCookieCodecs(purpose string, secret []byte) (signing, sealing *securecookie.SecureCookie, err error) {
	const keySize = 32 // HMAC-SHA256 and AES-256
	var keys [3][]byte
	for i, use := range [...]string{"/hash", "/encrypted/hash", "/encrypted/block"} {
		keys[i], err = hkdf.Key(sha256.New, secret, nil, "pleat/v1/"+purpose+use, keySize)
		if err != nil {
			return nil, nil, err
		}
	}
	signing = securecookie.New(keys[0], nil)
	sealing = securecookie.New(keys[1], keys[2])
	for _, codec := range [...]*securecookie.SecureCookie{signing, sealing} {
		// The length is checked by encode, before the work is done.
		codec.SetSerializer(securecookie.NopEncoder{}).MaxAge(int(maxCookieAge / time.Second)).MaxLength(0)
		if err := checkCookieCodec(codec); err != nil {
			return nil, nil, err
		}
	}
	return signing, sealing, nil
}

// checkCookieCodec makes and opens a cookie, because securecookie reports bad
// keys at first use only.
func checkCookieCodec(codec *securecookie.SecureCookie) error {
	const name, text = "c:self-test", "self-test"
	value, err := codec.Encode(name, []byte(text))
	if err != nil {
		return err
	}
	var back []byte
	if err := codec.Decode(name, value, &back); err != nil {
		return err
	}
	if string(back) != text {
		return errors.New("self-test failed")
	}
	return nil
}

// String says how many secrets there are, and for what.
func (k CookieKeys) String() string {
	r := k.ring()
	if r == nil {
		return "CookieKeys(no secret)"
	}
	return "CookieKeys(purpose " + r.purpose + ", secrets " + strconv.Itoa(len(r.secrets)) + ")"
}

// Format prints what String returns, whatever the verb, so that no secret is
// ever printed.
func (k CookieKeys) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// Encode makes the value of a cookie of that name, to be sent as it is. value
// is a []byte, a string, or anything that encoding/json can marshal; it is not
// kept and not changed. About 2200 bytes fit. The attributes in opts are not
// part of the value, but checked as for a secure connection.
//
// Errors wrap [ErrCookieTooLarge], [ErrCookieType], [ErrInvalidCookie] or
// [ErrNoCookieSecret].
func (k *CookieKeys) Encode(name string, value any, opts ...CookieOption) (string, error) {
	c, err := k.Cookie(name, value, true, opts...)
	if err != nil {
		return "", err
	}
	return c.Value, nil
}

// Cookie is Encode, put into a cookie with the attributes that opts ask for.
// secure says that the client reached the server on a secure connection. On
// another a cookie that needs Secure, by its name or its SameSite mode, is
// refused with [ErrInvalidCookie], because the browser would drop it.
func (k *CookieKeys) Cookie(name string, value any, secure bool, opts ...CookieOption) (*http.Cookie, error) {
	r := k.ring()
	if r == nil {
		return nil, ErrNoCookieSecret
	}
	o := newCookieOptions(opts)
	c, err := o.cookie(name, "", secure, r.now())
	if err != nil {
		return nil, err
	}
	if c.Value, err = r.encode(name, value, o); err != nil {
		return nil, err
	}
	return c, nil
}

// encode is Encode without a check of the name and the attributes.
func (r *cookieRing) encode(name string, value any, o CookieOptions) (string, error) {
	// The payload is ours alone: securecookie encrypts it in place.
	payload, err := appendCookiePayload(nil, value, r.now().Unix()+o.lifetime())
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrCookieType, name, err)
	}
	if size := cookieSize(name, len(payload), o.Encrypt); size > maxCookieSize {
		return "", fmt.Errorf("%w: %q would take %d bytes for %d bytes of data, the limit is %d",
			ErrCookieTooLarge, name, size, len(payload), maxCookieSize)
	}
	codec := r.signing[0]
	if o.Encrypt {
		codec = r.sealing[0]
	}
	cookieValue, err := codec.Encode("c:"+name, payload)
	if err != nil {
		return "", fmt.Errorf("server: encoding cookie %q: %w", name, err)
	}
	return cookieValue, nil
}

// Decode opens the value of a cookie of that name and stores it in into, a
// *[]byte or *string for what was encoded from either, or else a pointer to
// what the JSON is decoded into, replacing what was there. On error into is
// left as it was. The bytes belong to the caller.
//
// Signed and encrypted cookies are both accepted, unless [WithEncryption] says
// that it must be encrypted; other options have no effect. A request that has
// several cookies of one name should be treated as having none, because any
// host below the same domain can have added one.
//
// Errors wrap [ErrNoCookie], [ErrCookieExpired], [ErrCookieTampered],
// [ErrCookieType] or [ErrNoCookieSecret]. The value may be hostile: it costs
// at most two HMACs per secret, and nothing if it cannot be ours by its form.
// A value is accepted in exactly the spelling that Encode gave it.
func (k *CookieKeys) Decode(name, cookieValue string, into any, opts ...CookieOption) error {
	r := k.ring()
	if r == nil {
		return ErrNoCookieSecret
	}
	// A mistake of the programmer shows at once, not at the first genuine
	// cookie.
	if v := reflect.ValueOf(into); v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("%w: cannot decode into %T, needs a pointer", ErrCookieType, into)
	}
	if cookieValue == "" {
		return ErrNoCookie
	}
	v, err := r.open(name, cookieValue, newCookieOptions(opts).Encrypt)
	if err != nil {
		return err
	}
	kind, expiry, data, ok := parseCookiePayload(bytesOf(v.payload))
	if !ok {
		return ErrCookieTampered
	}
	now := r.now().Unix()
	if expiry <= now || expiry > now+int64(maxCookieAge/time.Second)+cookieClockSkew {
		return ErrCookieExpired
	}
	target := reflect.ValueOf(into).Elem()
	if kind == cookieKindJSON && v.recall(target) {
		return nil
	}
	if err := storeCookieData(into, kind, bytes.Clone(data)); err != nil {
		return fmt.Errorf("%w: %q: %w", ErrCookieType, name, err)
	}
	if kind == cookieKindJSON {
		v.remember(target)
	}
	return nil
}

// open verifies a cookie.
func (r *cookieRing) open(name, value string, encryptedOnly bool) (*verifiedCookie, error) {
	if len(value) < minCookieValue || len(name)+1+len(value) > maxCookieSize {
		return nil, ErrCookieTampered
	}
	v := r.memo.get(name, value, encryptedOnly)
	if v == nil {
		if !isCanonicalBase64(value) {
			return nil, ErrCookieTampered
		}
		payload, sealed, err := r.verify(name, value, encryptedOnly)
		if err != nil {
			return nil, err
		}
		issued, ok := cookieIssued(value)
		if !ok {
			return nil, ErrCookieExpired
		}
		v = &verifiedCookie{name: name, value: value, payload: string(payload), issued: issued, sealed: sealed}
		r.memo.put(v)
	}
	// securecookie takes any time in the future.
	if v.issued > r.now().Unix()+cookieClockSkew {
		return nil, ErrCookieExpired
	}
	return v, nil
}

// verify finds the codec that made a cookie.
func (r *cookieRing) verify(name, value string, encryptedOnly bool) (payload []byte, sealed bool, err error) {
	if !encryptedOnly {
		payload, err = openWith(r.signing, "c:"+name, value)
		if !errors.Is(err, ErrCookieTampered) {
			return payload, false, err
		}
	}
	payload, err = openWith(r.sealing, "c:"+name, value)
	return payload, true, err
}

// openWith tries the codecs in turn.
func openWith(codecs []*securecookie.SecureCookie, macName, value string) ([]byte, error) {
	for _, codec := range codecs {
		var payload []byte
		err := codec.Decode(macName, value, &payload)
		if err == nil {
			return payload, nil
		}
		if !errors.Is(err, securecookie.ErrMacInvalid) {
			// The MAC was right, so we made it, and all that can be wrong with
			// it is its age. (Bad base64 would come before the MAC, but has
			// been sorted out.)
			return nil, ErrCookieExpired
		}
	}
	return nil, ErrCookieTampered
}
