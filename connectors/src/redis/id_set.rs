//! A set of ids that somebody else keeps, such as who is blocked: read whole.

use super::error::describe;
use super::link::{Link, Purpose, Target};
use crate::endpoint::RedisUrl;
use crate::snapshot::SinkError;
use ::redis::{RedisError, RedisResult, Value, cmd, from_redis_value};

/// Reads a set, on a connection that is made anew where it was lost.
pub struct RedisIdSet {
    /// Without secrets.
    url: String,
    key: String,
    target: Target,
    link: Option<Link>,
}

impl RedisIdSet {
    /// The set under a key. It does not connect yet.
    ///
    /// # Errors
    /// [`SinkError::Invalid`]: the URL makes no sense.
    pub fn new(url: &RedisUrl, key: String) -> Result<Self, SinkError> {
        let text = url.to_string();
        let target = Target::new(url, Purpose::Reading);
        let target = target.map_err(|reason| SinkError::Invalid { url: text.clone(), reason })?;
        Ok(RedisIdSet { url: text, key, target, link: None })
    }

    /// All members; none where there is no such key.
    ///
    /// # Errors
    /// [`SinkError::Unreachable`]: it cannot be read just now, or the key holds no set, or one of more than `most`.
    pub fn read(&mut self, most: usize) -> Result<Vec<Vec<u8>>, SinkError> {
        let read = self.try_read(most);
        read.map_err(|error| {
            self.link = None;
            self.unreachable(describe(&error))
        })?
        .ok_or_else(|| self.unreachable(format!("{:?} has more than {most} members", self.key)))
    }

    /// `None` where there are more than `most`.
    fn try_read(&mut self, most: usize) -> Result<Option<Vec<Vec<u8>>>, RedisError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => self.target.connect_at_start()?,
        };
        let link = self.link.insert(link);
        let members: u64 = from_redis_value(ask(link, "SCARD", &self.key)?)?;
        if members > most as u64 {
            return Ok(None);
        }
        Ok(Some(from_redis_value(ask(link, "SMEMBERS", &self.key)?)?))
    }

    fn unreachable(&self, reason: String) -> SinkError {
        SinkError::Unreachable { url: self.url.clone(), reason }
    }
}

fn ask(link: &mut Link, what: &str, key: &str) -> RedisResult<Value> {
    let mut call = cmd(what);
    call.arg(key);
    link.ask(&[call])?.pop().unwrap_or(Ok(Value::Nil))
}
