// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// countedContent counts how often it is read from its beginning.
type countedContent struct {
	*strings.Reader
	reads *atomic.Int32
	err   error
}

func (c countedContent) WriteTo(w io.Writer) (int64, error) {
	c.reads.Add(1)
	if c.err != nil {
		return 0, c.err
	}
	return c.Reader.WriteTo(w)
}

func TestContentTagsAreMadeOnce(t *testing.T) {
	var tags contentTags
	var reads atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			content := countedContent{strings.NewReader("content"), &reads, nil}
			tag, err := tags.of(contentKey{"a", 7}, content)
			if err != nil || len(tag) != 26 {
				t.Errorf("of() = %q, %v", tag, err)
			}
			if text, _ := io.ReadAll(content.Reader); string(text) != "content" {
				t.Errorf("the content is at %q", text)
			}
		})
	}
	wg.Wait()
	if reads.Load() != 1 {
		t.Errorf("read %d times", reads.Load())
	}
	other, _ := tags.of(contentKey{"b", 7}, strings.NewReader("Content"))
	same, _ := tags.of(contentKey{"c", 7}, strings.NewReader("content"))
	if first, _ := tags.of(contentKey{"a", 7}, nil); other == first || same != first {
		t.Errorf("tags of a, b, c: %s %s %s", first, other, same)
	}
}

func TestContentTagsThatFail(t *testing.T) {
	var tags contentTags
	var reads atomic.Int32
	broken := errors.New("broken")
	for range 2 {
		if tag, err := tags.of(contentKey{"a", 1}, countedContent{strings.NewReader("a"), &reads, broken}); tag != "" || !errors.Is(err, broken) {
			t.Errorf("of() = %q, %v", tag, err)
		}
	}
	if tag, err := tags.of(contentKey{"a", 1}, strings.NewReader("a")); tag == "" || err != nil || reads.Load() != 2 {
		t.Errorf("of() = %q, %v after %d failures", tag, err, reads.Load())
	}
}

func TestContentTagsAreBounded(t *testing.T) {
	var tags contentTags
	for i := range 2 * maxContentTags {
		if _, err := tags.of(contentKey{strconv.Itoa(i), 1}, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	if len(tags.tags) != maxContentTags {
		t.Errorf("%d tags are kept, want %d", len(tags.tags), maxContentTags)
	}
}
