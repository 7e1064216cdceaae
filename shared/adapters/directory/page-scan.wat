;; Users of a page, read from its bytes: the innermost loops of a sweep, in the text form of WebAssembly
;; (https://webassembly.github.io/spec/core/text/). page-scan.ts says what this is for and lays out the memory;
;; `node bin/build-page-scan.ts` assembles it into page-scan-bytes.ts.
;;
;; Known is the one form in which nearly every user comes: the fields that a sweep asks for, each once, in any order and without
;; white space; an id of twenty-one digits; strings without escapes; addresses of small letters, digits and - . @ _ that
;; end in a letter; at most one alias. Keys and addresses are looked at eight and sixteen bytes at a time. Behind the page
;; are sixty-four zeros, at which every loop ends, so that nothing here asks where the page ends.
(module
  (memory (export "memory") 1)

  ;; Where the words of users go, six of four bytes each (listed-users.ts), and where the place of each user in the page goes.
  (global $words (export "words") (mut i32) (i32.const 0))
  (global $starts (export "starts") (mut i32) (i32.const 0))
  ;; How many users there is room for, and how many were read.
  (global $room (export "room") (mut i32) (i32.const 0))
  (global $users (export "users") (mut i32) (i32.const 0))
  ;; The paths that are known: slots of sixteen bytes, found by hash (their number less one is $mask). In a slot are hash, length, where
  ;; the path's bytes are, filled up to eight with zeros, and its number plus one; a slot of zeros is free.
  (global $slots (export "slots") (mut i32) (i32.const 0))
  (global $mask (export "mask") (mut i32) (i32.const 0))
  ;; The path that was not known.
  (global $pathStart (export "pathStart") (mut i32) (i32.const 0))
  (global $pathEnd (export "pathEnd") (mut i32) (i32.const 0))
  (global $pathHash (export "pathHash") (mut i32) (i32.const 0))
  ;; Why reading stopped, as page-scan.ts numbers it.
  (global $why (export "why") (mut i32) (i32.const 0))

  ;; Reads one user after the other, from the one at $at on. Stops behind a user whom no other follows at once ($why 0), or at one of
  ;; another form (1), one for whom there is no room (2), one whose path is not known (3).
  (func (export "read") (param $at i32) (result i32)
    (local $behind i32)
    (loop $next
      (if (i32.eq (global.get $users) (global.get $room)) (then
        (global.set $why (i32.const 2))
        (return (local.get $at))))
      (local.set $behind (call $user (local.get $at) (i32.add (global.get $words) (i32.mul (global.get $users) (i32.const 24)))))
      (if (i32.eqz (local.get $behind)) (then (return (local.get $at))))
      (i32.store (i32.add (global.get $starts) (i32.shl (global.get $users) (i32.const 2))) (local.get $at))
      (global.set $users (i32.add (global.get $users) (i32.const 1)))
      (local.set $at (local.get $behind))
      ;; ,{
      (if (i32.eq (i32.load16_u (local.get $at)) (i32.const 0x7b2c)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))
    (global.set $why (i32.const 0))
    (local.get $at))

  ;; Where the user at $start ends, whose words go to $to. 0 where it is not read, and $why.
  (func $user (param $start i32) (param $to i32) (result i32)
    (local $at i32) (local $key i64) (local $field i32) (local $fields i32) (local $marks i32) (local $digest i32) (local $path i32)
    (local $email i32) (local $emailEnd i32) (local $alias i32) (local $aliasEnd i32) (local $end i32)
    (local.set $at (local.get $start))
    (block $odd
      ;; {
      (br_if $odd (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x7b)))
      (loop $more
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $key (i64.load (local.get $at)))
        (block $read
          ;; "id":"
          (if (i64.eq (i64.and (local.get $key) (i64.const 0xffffffffffff)) (i64.const 0x223a22646922)) (then
            (local.set $field (i32.const 1))
            (br_if $odd (i32.eqz (call $id (i32.add (local.get $at) (i32.const 6)) (local.get $to))))
            (local.set $at (i32.add (local.get $at) (i32.const 28)))
            (br $read)))
          ;; "primary Email":"
          (if (i64.eq (local.get $key) (i64.const 0x7972616d69727022)) (then
            (br_if $odd (i64.ne (i64.load offset=8 (local.get $at)) (i64.const 0x223a226c69616d45)))
            (local.set $field (i32.const 2))
            (local.set $email (i32.add (local.get $at) (i32.const 16)))
            (local.set $emailEnd (call $endOfAddress (local.get $email)))
            (br_if $odd (i32.eqz (local.get $emailEnd)))
            (local.set $digest (call $digest (i32.const 0x811c9dc5) (local.get $email) (local.get $emailEnd)))
            (local.set $at (i32.add (local.get $emailEnd) (i32.const 1)))
            (br $read)))
          ;; "orgUnit tPath":"
          (if (i64.eq (local.get $key) (i64.const 0x74696e5567726f22)) (then
            (br_if $odd (i64.ne (i64.load offset=7 (local.get $at)) (i64.const 0x223a226874615074)))
            (local.set $field (i32.const 4))
            (local.set $at (i32.add (local.get $at) (i32.const 15)))
            (local.set $end (call $endOfPath (local.get $at)))
            (br_if $odd (i32.eqz (local.get $end)))
            (local.set $path (call $path (local.get $at) (local.get $end)))
            (if (i32.eqz (local.get $path)) (then
              (global.set $why (i32.const 3))
              (return (i32.const 0))))
            (local.set $at (i32.add (local.get $end) (i32.const 1)))
            (br $read)))
          ;; "suspend ed":
          (if (i64.eq (local.get $key) (i64.const 0x646e657073757322)) (then
            (br_if $odd (i32.ne (i32.load offset=8 (local.get $at)) (i32.const 0x3a226465)))
            (local.set $field (i32.const 16))
            (local.set $at (i32.add (local.get $at) (i32.const 12)))
            (local.set $marks (i32.or (local.get $marks) (call $isTrue (local.get $at))))
            (local.set $at (call $endOfTruth (local.get $at)))
            (br_if $odd (i32.eqz (local.get $at)))
            (br $read)))
          ;; "archive ed":
          (if (i64.eq (local.get $key) (i64.const 0x6576696863726122)) (then
            (br_if $odd (i32.ne (i32.load offset=7 (local.get $at)) (i32.const 0x3a226465)))
            (local.set $field (i32.const 32))
            (local.set $at (i32.add (local.get $at) (i32.const 11)))
            (local.set $marks (i32.or (local.get $marks) (i32.shl (call $isTrue (local.get $at)) (i32.const 1))))
            (local.set $at (call $endOfTruth (local.get $at)))
            (br_if $odd (i32.eqz (local.get $at)))
            (br $read)))
          ;; "aliases
          (if (i64.eq (local.get $key) (i64.const 0x73657361696c6122)) (then
            (local.set $field (i32.const 8))
            ;; ":[]
            (if (i32.eq (i32.load offset=8 (local.get $at)) (i32.const 0x5d5b3a22)) (then
              (local.set $at (i32.add (local.get $at) (i32.const 12)))
              (br $read)))
            ;; ":["
            (br_if $odd (i32.ne (i32.load offset=8 (local.get $at)) (i32.const 0x225b3a22)))
            (local.set $alias (i32.add (local.get $at) (i32.const 12)))
            (local.set $aliasEnd (call $endOfAddress (local.get $alias)))
            (br_if $odd (i32.eqz (local.get $aliasEnd)))
            ;; ]
            (br_if $odd (i32.ne (i32.load8_u offset=1 (local.get $aliasEnd)) (i32.const 0x5d)))
            (local.set $at (i32.add (local.get $aliasEnd) (i32.const 2)))
            (br $read)))
          (br $odd))
        ;; A key that comes twice is not for here.
        (br_if $odd (i32.and (local.get $fields) (local.get $field)))
        (local.set $fields (i32.or (local.get $fields) (local.get $field)))
        ;; ,
        (br_if $more (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x2c))))
      ;; }
      (br_if $odd (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x7d)))
      ;; Id, address and path are needed.
      (br_if $odd (i32.ne (i32.and (local.get $fields) (i32.const 7)) (i32.const 7)))
      ;; The alias is digested after the address, wherever it stands, and behind a separator.
      (if (local.get $aliasEnd) (then
        (br_if $odd (call $areAlike (local.get $email) (local.get $emailEnd) (local.get $alias) (local.get $aliasEnd)))
        ;; Fourteen bits each of the digests of both by themselves.
        (local.set $marks (i32.or
          (i32.or (local.get $marks) (i32.const 4))
          (i32.or
            (i32.shl (i32.shr_u (local.get $digest) (i32.const 18)) (i32.const 4))
            (i32.and
              (call $digest (i32.const 0x811c9dc5) (local.get $alias) (local.get $aliasEnd))
              (i32.const 0xfffc0000)))))
        (local.set $digest (i32.mul (i32.xor (local.get $digest) (i32.const 0x0a)) (i32.const 0x01000193)))
        (local.set $digest (call $digest (local.get $digest) (local.get $alias) (local.get $aliasEnd)))))
      (i32.store offset=12 (local.get $to) (local.get $digest))
      (i32.store offset=16 (local.get $to) (i32.sub (local.get $path) (i32.const 1)))
      (i32.store offset=20 (local.get $to) (local.get $marks))
      (return (i32.add (local.get $at) (i32.const 1))))
    (global.set $why (i32.const 1))
    (i32.const 0))

  ;; Packs an id of twenty-one digits and a quotation mark as packed-id.ts does; 0 for any other.
  (func $id (param $at i32) (param $to i32) (result i32)
    (local $first i32) (local $four i64) (local $middle i64) (local $last i64)
    (local.set $first (i32.sub (i32.load8_u (local.get $at)) (i32.const 0x30)))
    (local.set $four (i64.load32_u offset=1 (local.get $at)))
    (local.set $middle (i64.load offset=5 (local.get $at)))
    (local.set $last (i64.load offset=13 (local.get $at)))
    (i32.store (local.get $to) (call $eightDigits (local.get $last)))
    (i32.store offset=4 (local.get $to) (call $eightDigits (local.get $middle)))
    (i32.store offset=8 (local.get $to)
      (i32.or (local.get $first) (i32.shl (call $eightDigits (local.get $four)) (i32.const 4))))
    (i32.and (i32.and
      (i32.eq (i32.load8_u offset=21 (local.get $at)) (i32.const 0x22))
      ;; 1 to 9
      (i32.lt_u (i32.sub (local.get $first) (i32.const 1)) (i32.const 9)))
      (i64.eqz (i64.or
        (call $notDigits (i64.or (local.get $four) (i64.const 0x3030303000000000)))
        (i64.or (call $notDigits (local.get $middle)) (call $notDigits (local.get $last)))))))

  ;; Four bits each, of two digits the first in the higher half of a byte.
  (func $eightDigits (param $digits i64) (result i32)
    (local.set $digits (i64.and (local.get $digits) (i64.const 0x0f0f0f0f0f0f0f0f)))
    (local.set $digits (i64.and
      (i64.or (i64.shl (local.get $digits) (i64.const 4)) (i64.shr_u (local.get $digits) (i64.const 8)))
      (i64.const 0x00ff00ff00ff00ff)))
    (local.set $digits (i64.and
      (i64.or (local.get $digits) (i64.shr_u (local.get $digits) (i64.const 8)))
      (i64.const 0x0000ffff0000ffff)))
    (i32.wrap_i64 (i64.or (local.get $digits) (i64.shr_u (local.get $digits) (i64.const 16)))))

  ;; Zero when all eight bytes are digits: 0x30 to 0x39, which adding six leaves below 0x40.
  (func $notDigits (param $eight i64) (result i64)
    (i64.or
      (i64.xor (i64.and (local.get $eight) (i64.const 0xf0f0f0f0f0f0f0f0)) (i64.const 0x3030303030303030))
      (i64.xor
        (i64.and (i64.add (local.get $eight) (i64.const 0x0606060606060606)) (i64.const 0xf0f0f0f0f0f0f0f0))
        (i64.const 0x3030303030303030))))

  ;; true or fals
  (func $isTrue (param $at i32) (result i32)
    (i32.eq (i32.load (local.get $at)) (i32.const 0x65757274)))

  ;; 0 for what is neither.
  (func $endOfTruth (param $at i32) (result i32)
    (if (call $isTrue (local.get $at)) (then (return (i32.add (local.get $at) (i32.const 4)))))
    (if (i32.and
      (i32.eq (i32.load (local.get $at)) (i32.const 0x736c6166))
      (i32.eq (i32.load8_u offset=4 (local.get $at)) (i32.const 0x65)))
      (then (return (i32.add (local.get $at) (i32.const 5)))))
    (i32.const 0))

  ;; Where the quotation mark behind an address is; 0 for one that is not in our spelling. A byte is in it when the sets that its
  ;; lower and its higher half are in have one in common.
  (func $endOfAddress (param $start i32) (result i32)
    (local $at i32) (local $bytes v128) (local $others i32) (local $last i32)
    (local.set $at (local.get $start))
    (loop $more
      (local.set $bytes (v128.load (local.get $at)))
      (local.set $others (i8x16.bitmask (i8x16.eq
        (v128.and
          ;; 1 is of - . and 2 of 0 to 9, 4 is @, 8 is _, 16 is a to o, 32 is p to z.
          (i8x16.swizzle
            (v128.const i8x16 38 50 50 50 50 50 50 50 50 50 48 16 16 17 17 24)
            (v128.and (local.get $bytes) (i8x16.splat (i32.const 0x0f))))
          (i8x16.swizzle
            (v128.const i8x16 0 0 1 2 4 8 16 32 0 0 0 0 0 0 0 0)
            (i8x16.shr_u (local.get $bytes) (i32.const 4))))
        (i8x16.splat (i32.const 0)))))
      (if (i32.eqz (local.get $others)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $more))))
    (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $others))))
    (if (i32.eq (local.get $at) (local.get $start)) (then (return (i32.const 0))))
    (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x22)) (then (return (i32.const 0))))
    ;; a to z
    (local.set $last (i32.load8_u (i32.sub (local.get $at) (i32.const 1))))
    (if (i32.gt_u (i32.sub (local.get $last) (i32.const 0x61)) (i32.const 25)) (then (return (i32.const 0))))
    (local.get $at))

  ;; FNV-1a (address-digest.ts), of one byte at least.
  (func $digest (param $digest i32) (param $at i32) (param $end i32) (result i32)
    (loop $more
      (local.set $digest
        (i32.mul (i32.xor (local.get $digest) (i32.load8_u (local.get $at))) (i32.const 0x01000193)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $digest))

  (func $areAlike (param $one i32) (param $end i32) (param $other i32) (param $otherEnd i32) (result i32)
    (if (i32.ne (i32.sub (local.get $end) (local.get $one)) (i32.sub (local.get $otherEnd) (local.get $other)))
      (then (return (i32.const 0))))
    (loop $more
      (if (i32.ne (i32.load8_u (local.get $one)) (i32.load8_u (local.get $other))) (then (return (i32.const 0))))
      (local.set $one (i32.add (local.get $one) (i32.const 1)))
      (local.set $other (i32.add (local.get $other) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $one) (local.get $end))))
    (i32.const 1))

  ;; Where the quotation mark behind a path is; 0 for an empty one, and where an escape or a control character is.
  (func $endOfPath (param $start i32) (result i32)
    (local $at i32) (local $bytes v128) (local $found i32)
    (local.set $at (local.get $start))
    (loop $more
      (local.set $bytes (v128.load (local.get $at)))
      (local.set $found (i8x16.bitmask (v128.or
        (i8x16.lt_u (local.get $bytes) (i8x16.splat (i32.const 0x20)))
        (v128.or
          (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x22)))
          (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x5c)))))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $more))))
    (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
    (if (i32.eq (local.get $at) (local.get $start)) (then (return (i32.const 0))))
    (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x22)) (then (return (i32.const 0))))
    (local.get $at))

  ;; The number of a path plus one; 0 for one that is not known, which $pathStart and the others then tell.
  (func $path (param $start i32) (param $end i32) (result i32)
    (local $hash i32) (local $slot i32) (local $at i32)
    (local.set $hash (call $hash (local.get $start) (local.get $end)))
    (local.set $slot (local.get $hash))
    (loop $next
      (local.set $at (i32.add (global.get $slots)
        (i32.shl (i32.and (local.get $slot) (global.get $mask)) (i32.const 4))))
      (if (i32.eqz (i32.load offset=12 (local.get $at))) (then
        (global.set $pathStart (local.get $start))
        (global.set $pathEnd (local.get $end))
        (global.set $pathHash (local.get $hash))
        (return (i32.const 0))))
      (if (i32.and
        (i32.eq (i32.load (local.get $at)) (local.get $hash))
        (i32.eq (i32.load offset=4 (local.get $at)) (i32.sub (local.get $end) (local.get $start))))
        (then (if (call $isAt (i32.load offset=8 (local.get $at)) (local.get $start) (local.get $end))
          (then (return (i32.load offset=12 (local.get $at)))))))
      (local.set $slot (i32.add (local.get $slot) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; Eight bytes at a time; in the last ones those that are behind the end are zero.
  (func $hash (param $at i32) (param $end i32) (result i32)
    (local $hash i64)
    (local.set $hash (i64.extend_i32_u (i32.sub (local.get $end) (local.get $at))))
    (loop $more
      (local.set $hash (i64.mul
        (i64.xor
          (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 32)))
          (call $eightOf (local.get $at) (local.get $end)))
        (i64.const 0x9e3779b97f4a7c15)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (i32.wrap_i64 (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 32)))))

  (func $isAt (param $known i32) (param $at i32) (param $end i32) (result i32)
    (loop $more
      (if (i64.ne (i64.load (local.get $known)) (call $eightOf (local.get $at) (local.get $end)))
        (then (return (i32.const 0))))
      (local.set $known (i32.add (local.get $known) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (i32.const 1))

  (func $eightOf (param $at i32) (param $end i32) (result i64)
    (local $left i32)
    (local.set $left (i32.sub (local.get $end) (local.get $at)))
    (if (result i64) (i32.lt_u (local.get $left) (i32.const 8))
      (then (i64.and
        (i64.load (local.get $at))
        (i64.shr_u
          (i64.const -1)
          (i64.extend_i32_u (i32.shl (i32.sub (i32.const 8) (local.get $left)) (i32.const 3))))))
      (else (i64.load (local.get $at)))))
)
