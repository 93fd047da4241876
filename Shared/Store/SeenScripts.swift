// What an inbox or a channel has seen: hashes `…:seen:<bucket>` (`seen:P:<bucket>` of an inbox) from a notification's id to
// its offset. The state says which bucket is written (`seen`), and which offset was the last before it began (`base`; absent: 0).
// The bucket before that one is kept, and all older ones are removed. A bucket's number is that of its time (now / window), or one
// more than the last if many notifications have filled that one. So what was written is found after the clock was set back, and no
// bucket grows for ever.
extension Lua {
    /// `bucketOf(prefix, offset, now, window)`: the bucket that is written now, and its base, for a state that does not name
    /// it. Then an earlier version has written, whose buckets are those before, at and after now, or nothing was written yet.
    static let bucketOf = """
        local function bucketOf(prefix, offset, now, window)
          local bucket = math.floor(now / window)
          if offset == 0 then return bucket, 0 end
          if redis.call('EXISTS', prefix .. bucket + 1) == 1 then bucket = bucket + 1 end
          return bucket, offset - redis.call('HLEN', prefix .. bucket)
        end

        """

    /// `nextBucket(prefix, bucket, offset, now, window)`: the bucket to go on with if the time of this one is over, or if it is
    /// full, and its base. Buckets that are too old are removed.
    static let nextBucket = """
        local function nextBucket(prefix, bucket, offset, now, window)
          local later = math.max(bucket + 1, math.floor(now / window))
          redis.call('UNLINK', prefix .. bucket - 1)
          if later > bucket + 1 then redis.call('UNLINK', prefix .. bucket) end
          return later, offset
        end

        """

    /// `trimByAge(stream, epoch, now, maxAge)`: removes the entries at the head that are older than `maxAge`. Answers how many,
    /// and the time of the first entry that stays, or now if that time is still to come. A younger entry must be behind them.
    static let trimByAge = """
        local function trimByAge(stream, epoch, now, maxAge)
          local gone = 0
          while true do
            local chunk = redis.call('XRANGE', stream, '-', '+', 'COUNT', 16)
            for i = 1, #chunk do
              local fields = chunk[i][2]
              for j = 1, #fields, 2 do
                if fields[j] == 't' and tonumber(fields[j + 1]) >= now - maxAge then
                  if i > 1 then gone = gone + redis.call('XTRIM', stream, 'MINID', chunk[i][1]) end
                  return gone, math.min(tonumber(fields[j + 1]), now)
                end
              end
            end
            local last = tonumber(string.match(chunk[#chunk][1], '%d+$'))
            gone = gone + redis.call('XTRIM', stream, 'MINID', epoch .. '-' .. last + 1)
          end
        end

        """
}
