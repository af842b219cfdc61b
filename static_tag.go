// SPDX-License-Identifier: MIT

package pleat

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"sync"
)

// maxContentTags is how many files of a file tree have their tags kept. An
// embedded tree of more files has others made again.
const maxContentTags = 4096

// contentTags are the entity tags of files that have no modification time: those
// of an embed.FS, which never change. A tag is a digest of the content, so it is a
// strong one (RFC 9110, section 8.8.1), and the same on every machine. The zero
// value is ready to use, concurrently.
type contentTags struct {
	mu   sync.Mutex
	tags map[contentKey]*contentTag // guarded by mu
}

type contentKey struct {
	name string
	size int64
}

type contentTag struct {
	made sync.Once
	text string
	err  error
}

// of is the tag of a file, made from its content when it is asked for first. The
// content is at its beginning before and after.
func (t *contentTags) of(key contentKey, content io.ReadSeeker) (string, error) {
	t.mu.Lock()
	tag := t.tags[key]
	if tag == nil {
		tag = &contentTag{}
		if t.tags == nil {
			t.tags = map[contentKey]*contentTag{}
		}
		for other := range t.tags { // any of them
			if len(t.tags) < maxContentTags {
				break
			}
			delete(t.tags, other)
		}
		t.tags[key] = tag
	}
	t.mu.Unlock()
	tag.made.Do(func() { tag.text, tag.err = digest(content) })
	if tag.err != nil {
		t.mu.Lock()
		if t.tags[key] == tag {
			delete(t.tags, key) // the next one may have more luck
		}
		t.mu.Unlock()
	}
	return tag.text, tag.err
}

func digest(content io.ReadSeeker) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", err
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return `"` + base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:18]) + `"`, nil
}
