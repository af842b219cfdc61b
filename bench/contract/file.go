// SPDX-License-Identifier: MIT

package contract

import (
	"os"
	"path/filepath"
)

// FileSize is the size of the file that /file sends.
const FileSize = 256 << 10

// FileContent is the content of that file.
func FileContent() []byte {
	b := make([]byte, FileSize)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223 // no pattern that anything could compress
		b[i] = byte(x >> 24)
	}
	return b
}

// sampleFile writes the file, once for all servers, and says where it is. Servers
// that start at the same time do not see each other's half-written files.
func sampleFile() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	dir = filepath.Join(dir, "pleat-bench")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	name := filepath.Join(dir, "file.bin")
	if info, err := os.Stat(name); err == nil && info.Size() == FileSize {
		return name, nil
	}
	f, err := os.CreateTemp(dir, "file-*.tmp")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it was renamed
	_, err = f.Write(FileContent())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", err
	}
	return name, os.Rename(f.Name(), name)
}
