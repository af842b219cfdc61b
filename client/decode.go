// SPDX-License-Identifier: MIT

package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	maxCodings = 2 // stacked on one another

	// A body that unpacks to more than ratioLimit times its size, past ratioFloor, was made to.
	ratioLimit = 200
	ratioFloor = 1 << 20

	// zstdWindow is what RFC 9659 allows the zstd content coding.
	zstdWindow = 8 << 20
)

// decoder undoes the content codings of a body (RFC 9110 §8.4). Errors are those of the wire as they are, *LimitError,
// or ErrEncoding.
type decoder struct {
	codings []string // innermost last: the order in which they are undone is from the end
	wire    wireReader
	stages  []stage // opened at the first read, in the order in which they are undone
	out     io.Reader
	decoded int64
	err     error
}

// stage is one coding being undone.
type stage struct {
	io.Reader
	release func()
}

// wireReader counts what comes in, and remembers the wire's own failure, which would otherwise look like damaged data.
type wireReader struct {
	body io.Reader
	n    int64
	err  error // never io.EOF
}

func (w *wireReader) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	w.n += int64(n)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// newDecoder returns nil when there is nothing to undo. An unknown coding is an error of the first read: the caller may
// be content with the header.
func newDecoder(fields []string, body io.Reader) *decoder {
	d := &decoder{wire: wireReader{body: body}}
	for _, field := range fields {
		for coding := range strings.SplitSeq(field, ",") {
			coding = strings.ToLower(strings.TrimSpace(coding))
			if coding != "" && coding != "identity" {
				d.codings = append(d.codings, coding)
			}
		}
	}
	if len(d.codings) == 0 {
		return nil
	}
	return d
}

// open sets up the stages, unless the body is empty: some servers declare a coding for nothing.
func (d *decoder) open() error {
	if len(d.codings) > maxCodings {
		return fmt.Errorf("%w: more than %d codings", ErrEncoding, maxCodings)
	}
	if _, err := d.buffer(&d.wire).Peek(1); err != nil {
		return err // io.EOF: an empty body
	}
	for i := len(d.codings) - 1; i >= 0; i-- {
		var s stage
		var err error
		switch d.codings[i] {
		case "gzip", "x-gzip":
			s, err = openGzip(d.out)
		case "zstd":
			s, err = openZstd(d.out)
		case "deflate":
			br, ok := d.out.(*bufio.Reader)
			if !ok {
				br = d.buffer(d.out)
			}
			s, err = openDeflate(br)
		default:
			return fmt.Errorf("%w: unknown coding %.20q", ErrEncoding, d.codings[i])
		}
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		d.stages = append(d.stages, s)
		d.out = s
	}
	return nil
}

// buffer adds a stage that reads src ahead. It has to be a stage, for data after the end of a coding may be in it.
func (d *decoder) buffer(src io.Reader) *bufio.Reader {
	br := bufioReaders.Get().(*bufio.Reader)
	br.Reset(src)
	d.stages = append(d.stages, stage{br, func() { br.Reset(nil); bufioReaders.Put(br) }})
	d.out = br
	return br
}

func (d *decoder) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.out == nil {
		if err := d.open(); err != nil {
			d.err = d.explain(err)
			return 0, d.err
		}
	}
	n, err := d.out.Read(p)
	d.decoded += int64(n)
	if d.decoded > ratioFloor && d.decoded > ratioLimit*d.wire.n {
		err = &LimitError{What: "compression ratio", Limit: ratioLimit}
	}
	if err == io.EOF {
		err = d.atEnd()
	}
	if err != nil {
		d.err = d.explain(err)
	}
	return n, d.err
}

// atEnd makes sure that each coding's end is the end of what it was read from: nothing may trail.
func (d *decoder) atEnd() error {
	var one [1]byte
	for i := len(d.stages) - 2; i >= 0; i-- {
		switch n, err := io.ReadFull(d.stages[i], one[:]); {
		case n > 0:
			return fmt.Errorf("%w: data after its end", ErrEncoding)
		case err != io.EOF:
			return err
		}
	}
	return io.EOF
}

func (d *decoder) explain(err error) error {
	var limit *LimitError
	switch {
	case d.wire.err != nil:
		return d.wire.err
	case err == io.EOF || errors.Is(err, ErrEncoding) || errors.As(err, &limit):
		return err
	}
	return fmt.Errorf("%w: %w", ErrEncoding, err)
}

// release gives the stages back. The decoder is not used after it.
func (d *decoder) release() {
	for i := len(d.stages) - 1; i >= 0; i-- {
		d.stages[i].release()
	}
	d.stages, d.out, d.err = nil, nil, ErrBodyClosed
}

// Decompressors are large (a zstd window is megabytes); making one for each body would cost more than using it.
var (
	bufioReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}
	gzipReaders  = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstdReaders  sync.Pool
)

func openGzip(src io.Reader) (stage, error) {
	z := gzipReaders.Get().(*gzip.Reader)
	if err := z.Reset(src); err != nil {
		gzipReaders.Put(z)
		return stage{}, err
	}
	return stage{z, func() { gzipReaders.Put(z) }}, nil
}

func openZstd(src io.Reader) (stage, error) {
	z, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		// One at a time is decoded in the goroutine that reads: nothing to stop later.
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return stage{}, err
		}
	}
	if err := z.Reset(src); err != nil {
		return stage{}, err
	}
	return stage{z, func() {
		if z.Reset(nil) == nil {
			zstdReaders.Put(z)
		}
	}}, nil
}

// openDeflate reads zlib, which is what RFC 9110 §8.4.1.2 means by deflate, and the bare deflate data that some servers
// send under that name.
func openDeflate(br *bufio.Reader) (stage, error) {
	head, err := br.Peek(2)
	if err != nil {
		return stage{}, err
	}
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		z, err := zlib.NewReader(br)
		return stage{z, func() {}}, err
	}
	return stage{flate.NewReader(br), func() {}}, nil
}
