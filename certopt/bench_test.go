package certopt

import "testing"

func BenchmarkFind(b *testing.B) {
	codec := Codec{}
	area := mustAppend(b, codec, sample(b))
	b.ReportAllocs()
	b.SetBytes(int64(len(area)))
	for b.Loop() {
		if _, err := codec.Find(area); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFindVendor(b *testing.B) {
	codec := Codec{Enterprise: 32473}
	area := mustAppend(b, codec, sample(b))
	b.ReportAllocs()
	b.SetBytes(int64(len(area)))
	for b.Loop() {
		if _, err := codec.Find(area); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	codec, opts := Codec{}, sample(b)
	buf := make([]byte, 0, 65536)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Append(buf, opts); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequests(b *testing.B) {
	codec := Codec{}
	area := appendORO(b, nil, codec.AppendRequested([]uint16{82, 83}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Requests(area); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyKeyProof(b *testing.B) {
	for _, k := range keysUnderTest(b) {
		b.Run(k.name, func(b *testing.B) {
			proof, err := SignKeyProof(nil, k.signer, nil, testStatement())
			if err != nil {
				b.Fatal(err)
			}
			spki := marshalSPKI(b, k.signer.Public())
			b.ReportAllocs()
			for b.Loop() {
				if err := VerifyKeyProof(proof, spki, testStatement()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
