package state

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// entry is a value as a ConfigMap holds it.
type entry struct {
	seq    uint64 // of the write: of two entries of one key, the newer counts
	zipped bool
	raw    []byte
}

const (
	// zipFrom is from how many bytes on a value is compressed.
	zipFrom = 512
	// unzipLimit bounds what a value may grow to.
	unzipLimit = 64 << 20
	// overhead is what an entry takes besides its key and value: flags, sequence, checksum, length of the key.
	overhead = 1 + 8 + 4 + 2
)

func pack(value []byte) (entry, error) {
	if len(value) < zipFrom {
		return entry{raw: bytes.Clone(value)}, nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(value); err != nil {
		return entry{}, err
	}
	if err := z.Close(); err != nil {
		return entry{}, err
	}
	if b.Len() >= len(value) {
		return entry{raw: bytes.Clone(value)}, nil
	}
	return entry{zipped: true, raw: b.Bytes()}, nil
}

func (e entry) unpack() ([]byte, error) {
	if !e.zipped {
		return append([]byte{}, e.raw...), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(e.raw))
	if err != nil {
		return nil, err
	}
	value, err := io.ReadAll(io.LimitReader(z, unzipLimit+1))
	if err == nil && len(value) > unzipLimit {
		err = fmt.Errorf("it grows beyond %d bytes", unzipLimit)
	}
	return value, err
}

// size is what the entry takes in a ConfigMap.
func (e entry) size(key string) int { return len(dataKey(key)) + len(key) + overhead + len(e.raw) }

func encodeEntry(key string, e entry) []byte {
	out := make([]byte, 0, e.size(key))
	flags := byte(0)
	if e.zipped {
		flags = 1
	}
	out = append(out, flags)
	out = binary.BigEndian.AppendUint64(out, e.seq)
	out = binary.BigEndian.AppendUint16(out, uint16(len(key)))
	out = append(out, key...)
	out = append(out, e.raw...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
}

func decodeEntry(raw []byte) (key string, e entry, err error) {
	if len(raw) < overhead {
		return "", e, errors.New("it is cut short")
	}
	body, sum := raw[:len(raw)-4], binary.BigEndian.Uint32(raw[len(raw)-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return "", e, errors.New("its checksum does not fit")
	}
	n := int(binary.BigEndian.Uint16(body[9:11]))
	if len(body) < 11+n || body[0] > 1 {
		return "", e, errors.New("it is not in a form that this version knows")
	}
	e = entry{seq: binary.BigEndian.Uint64(body[1:9]), zipped: body[0] == 1, raw: bytes.Clone(body[11+n:])}
	key = string(body[11 : 11+n])
	if e.zipped {
		if _, err := e.unpack(); err != nil {
			return "", e, err
		}
	}
	return key, e, checkKey(key)
}

// dataKey makes a key into one that a ConfigMap allows - letters, digits, '-', '_' and '.', 253 at most - and that no other key shares.
func dataKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	if b.Len() <= 200 {
		return b.String()
	}
	sum := sha256.Sum256([]byte(key))
	return b.String()[:120] + "_h" + hex.EncodeToString(sum[:])
}

func shardName(name string, n int) string { return name + "-" + strconv.Itoa(n) }

// shardNumber reads the number of a store's ConfigMap out of its name.
func shardNumber(store, name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, store+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(rest)
	return n, err == nil && n >= 0 && n < maxShards && strconv.Itoa(n) == rest
}
